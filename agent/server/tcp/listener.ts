/** One bound TCP address and its clients, within limits (RFC 7766 §6.2). */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, familyOf, formatEndpoint } from '../../base/address.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { errnoOf, messageOf, NetworkError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Counter, Gauge } from '../../query/services.ts';
import type { Admission } from '../admission.ts';
import { TcpConnection } from './connection.ts';

const SWEEP_MS = 1_000;
const BACKLOG = 1_024;

export interface TcpOptions {
  readonly endpoint: Endpoint;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly connections: Gauge;
  /** Clients turned away, or closed early, because there were too many. */
  readonly rejected: Counter;
}

export class TcpListener {
  readonly endpoint: Endpoint;
  readonly #server: Server;
  readonly #options: TcpOptions;
  /** In order of arrival; the oldest idle one goes first when room is needed. */
  readonly #clients = new Set<TcpConnection>();
  readonly #sweep: Timer;

  private constructor(server: Server, endpoint: Endpoint, options: TcpOptions) {
    this.#server = server;
    this.endpoint = endpoint;
    this.#options = options;
    this.#sweep = options.clock.every(SWEEP_MS, () => this.#closeIdle());
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Binds and starts to accept. Rejects with NetworkError (phase `bind`). */
  static async open(options: TcpOptions): Promise<TcpListener> {
    const { address, port } = options.endpoint;
    const server = createServer({ allowHalfOpen: true });
    const ipv6Only = familyOf(address) === 6;
    try {
      server.listen({ host: address, port, ipv6Only, backlog: BACKLOG, exclusive: true });
      await once(server, 'listening');
    } catch (error) {
      const where = formatEndpoint(options.endpoint);
      const reason = `cannot bind ${where}/tcp: ${messageOf(error)}`;
      throw new NetworkError('bind', errnoOf(error), reason, { cause: error });
    }
    const bound = server.address();
    const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
    return new TcpListener(server, { address, port: boundPort }, options);
  }

  /** Queries whose answer is still awaited. */
  get pending(): number {
    return this.#options.admission.pending;
  }

  /** Stops to accept and lets every client have the answers it has asked for. */
  drain(): void {
    this.#server.close();
    for (const client of this.#clients) client.end();
  }

  /** Closes for good; what is still unanswered is cut off. */
  async close(): Promise<void> {
    this.#sweep.cancel();
    if (this.#server.listening) this.#server.close();
    for (const client of this.#clients) client.destroy();
    if (this.#clients.size > 0) await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    const { rejected, connections } = this.#options;
    if (this.#clients.size >= LIMITS.tcpConnections.default) {
      rejected.value++;
      if (!this.#evictIdle()) {
        socket.destroy();
        return;
      }
    }
    const { clock, admission } = this.#options;
    const client = new TcpConnection(socket, admission, () => clock.nowMs());
    this.#clients.add(client);
    connections.value = this.#clients.size;
    socket.on('close', () => {
      this.#clients.delete(client);
      connections.value = this.#clients.size;
    });
  }

  /** Makes room by closing a client that waits for nothing; false where all are waiting for answers. */
  #evictIdle(): boolean {
    for (const client of this.#clients) {
      if (client.pending > 0) continue;
      client.destroy();
      this.#clients.delete(client);
      return true;
    }
    return false;
  }

  #closeIdle(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const client of this.#clients) {
      const quietMs = nowMs - client.activeMs;
      const isStuck = client.isWriteBlocked || (client.isEnding && client.pending === 0);
      if (isStuck && quietMs > LIMITS.tcpWriteMs.default) client.destroy();
      else if (client.pending === 0 && quietMs > LIMITS.tcpIdleMs.default) client.end();
    }
  }
}
