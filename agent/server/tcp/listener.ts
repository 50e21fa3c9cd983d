/** One bound TCP address and its clients, within limits (RFC 7766 §6.2). */
import { createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, formatEndpoint } from '../../base/address.ts';
import { clientKey } from '../../base/clients/client-key.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { errnoOf, messageOf, NetworkError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Counter, Gauge } from '../../query/services/metrics.ts';
import type { TcpTimeouts } from '../../query/services/process.ts';
import type { QueryProcessor } from '../query-processor.ts';
import { AcceptQueue } from './accept-queue.ts';
import type { TcpClients } from './clients.ts';
import { type CloseReason, TcpConnection } from './connection.ts';
import type { AcceptNext, ListenTcp } from './reuseport-takeover.ts';

const SWEEP_MS = 1_000;
/** Connections checked in one turn of the event loop: closing one takes up to 0.1 ms. */
const SWEPT_AT_ONCE = 16;
/** Keep-alive probes start after this silence; init's conntrack rules forget a connection that is silent for longer. */
const KEEP_ALIVE_MS = 60_000;
const BACKLOG = 1_024;
/** Turns of the event loop in which a drain accepts the connections in the backlog: one each. */
const LAST_TURNS = BACKLOG;

/** What a listener needs, besides the timeouts that a reload may replace. */
export interface TcpOptions {
  readonly endpoint: Endpoint;
  readonly listen: ListenTcp;
  readonly processor: QueryProcessor;
  readonly clock: Clock;
  /** Shared by all listeners of the process. */
  readonly clients: TcpClients;
  /** Open now; shared by the sockets of one listener. */
  readonly connections: Gauge;
  /** Connections closed because there were too many. */
  readonly rejected: Counter;
  /** A connection was closed because of what its client did. */
  readonly onClosed: (reason: CloseReason, key: string) => void;
  /** A connection of the client `key` was closed because there were too many. */
  readonly onCrowded: (key: string) => void;
  /** The kernel could not accept a connection (EMFILE). */
  readonly onError: (error: Error) => void;
}

/** Accepts clients from `open` until `drain` or `close`. */
export class TcpListener {
  readonly endpoint: Endpoint;
  readonly #server: Server;
  readonly #options: TcpOptions;
  readonly #clients = new Set<TcpConnection>();
  readonly #sweep: Timer;
  /** Connections that the current sweep has not checked yet. */
  readonly #unswept = new Set<TcpConnection>();
  readonly #closed: Promise<void>;
  /** Replaced by a reload; also applies to connected clients. */
  timeouts: TcpTimeouts = {};
  #isDraining = false;
  /** Connections accepted so far. */
  #accepted = 0;
  /** Connections that wait for their client's turn; undefined where only `#server` accepts. */
  readonly #queue: AcceptQueue | undefined;

  private constructor(
    server: Server,
    endpoint: Endpoint,
    options: TcpOptions,
    acceptNext: AcceptNext | undefined,
  ) {
    this.#server = server;
    this.endpoint = endpoint;
    this.#options = options;
    this.#sweep = options.clock.every(SWEEP_MS, () => this.#beginSweep());
    this.#closed = new Promise((resolve) => {
      server.on('close', resolve);
    });
    this.#queue = acceptNext && this.#queueOf(acceptNext);
    server.on('connection', (socket) => {
      this.#accept(socket);
      if (server.listening) this.#queue?.fill();
    });
    server.on('error', options.onError);
  }

  /** Binds and starts to accept. Rejects with NetworkError (phase `bind`). */
  static async open(options: TcpOptions): Promise<TcpListener> {
    const { address, port } = options.endpoint;
    const server = createServer({
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    let acceptNext: AcceptNext | undefined;
    try {
      acceptNext = await options.listen(server, options.endpoint, BACKLOG);
    } catch (error) {
      const where = formatEndpoint(options.endpoint);
      const reason = `cannot bind ${where}/tcp: ${messageOf(error)}`;
      throw new NetworkError('bind', errnoOf(error), reason, { cause: error });
    }
    const bound = server.address();
    const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
    return new TcpListener(server, { address, port: boundPort }, options, acceptNext);
  }

  /** Clients that a drain still waits for, plus one while it accepts; 0 without a drain. */
  get unfinishedConnections(): number {
    if (!this.#isDraining) return 0;
    let count = this.#server.listening ? 1 : 0;
    for (const client of this.#clients)
      if (!client.isEnding || client.hasPendingResponses || client.isFinRecent) count++;
    return count;
  }

  /**
   * Stops accepting and lets every client have its outstanding answers. Connections in the kernel's backlog count: a
   * close would reset them. So they are accepted first, and two turns of the event loop read their queries before the
   * clients are asked to leave.
   */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#closeWhenQuiet(LAST_TURNS, this.#accepted);
  }

  /** Closes after a whole turn of the event loop without a new connection. */
  #closeWhenQuiet(turns: number, accepted: number): void {
    afterTwoTurns(() => {
      const isWaiting = this.#queue !== undefined && this.#queue.size > 0;
      if (turns > 0 && (isWaiting || this.#accepted !== accepted)) {
        this.#closeWhenQuiet(turns - 1, this.#accepted);
        return;
      }
      if (this.#server.listening) this.#server.close();
      afterTwoTurns(() => {
        for (const client of this.#clients) client.end();
      });
    });
  }

  /** Closes for good; pending answers are lost. */
  async close(): Promise<void> {
    this.#sweep.cancel();
    if (this.#server.listening) this.#server.close();
    this.#queue?.close();
    for (const client of this.#clients) client.destroy();
    await this.#closed;
  }

  #queueOf(acceptNext: AcceptNext): AcceptQueue {
    const { clients, rejected, onCrowded } = this.#options;
    return new AcceptQueue({
      ...{ acceptNext, scheduler: clients.scheduler, room: clients.waiting },
      onSocket: (socket) => {
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        this.#accept(socket);
      },
      onCrowded: (key) => {
        rejected.value++;
        onCrowded(key);
      },
    });
  }

  #accept(socket: Socket): void {
    this.#accepted++;
    this.#options.clients.scheduler.event();
    const { rejected, connections, clients, clock, processor, onClosed } = this.#options;
    const key = clientKey(socket.remoteAddress ?? '');
    const closed = clients.makeRoomFor(key);
    if (closed !== undefined) {
      rejected.value++;
      this.#options.onCrowded(closed.key);
    }
    const { ledger, scheduler } = clients;
    const client = new TcpConnection({
      ...{ socket, key, processor, scheduler, onClosed },
      nowMs: () => clock.nowMs(),
      share: ledger.share(key),
      isPressed: (share) => ledger.isPressed(share),
      maxQueries: () => this.timeouts.maxQueries ?? Number.POSITIVE_INFINITY,
    });
    clients.add(client);
    this.#clients.add(client);
    connections.value++;
    socket.on('close', () => {
      clients.delete(client);
      this.#clients.delete(client);
      this.#unswept.delete(client);
      connections.value--;
    });
  }

  /** One sweep at a time: on a busy agent a sweep may take longer than the interval. */
  #beginSweep(): void {
    if (this.#unswept.size > 0) return;
    for (const client of this.#clients) this.#unswept.add(client);
    this.#closeIdle();
  }

  /** Checks some connections now and the others in later turns. */
  #closeIdle(): void {
    const nowMs = this.#options.clock.nowMs();
    const { writeMs = LIMITS.tcpWriteMs.default, idleMs = LIMITS.tcpIdleMs.default } =
      this.timeouts;
    const { readMs = idleMs } = this.timeouts;
    let left = SWEPT_AT_ONCE;
    for (const client of this.#unswept) {
      if (left-- === 0) {
        setImmediate(() => this.#closeIdle());
        return;
      }
      this.#unswept.delete(client);
      // Data that was left unread for want of memory may be read now.
      client.goOn();
      const quietMs = nowMs - client.activeMs;
      if (client.isUnread && quietMs > writeMs) client.abandon();
      else if (client.isStuck && quietMs > idleMs) this.#options.clients.release(client);
      else if (client.isEnding && !client.hasPendingResponses && quietMs > writeMs)
        client.destroy();
      else if (!client.hasPendingResponses && quietMs > (client.hasAsked ? idleMs : readMs))
        client.end();
    }
  }
}

/** Between two of these callbacks the event loop has polled every socket. */
function afterTwoTurns(work: () => void): void {
  setImmediate(() => setImmediate(work));
}
