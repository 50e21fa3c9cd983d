/**
 * One TCP client (RFC 7766). Queries are read as they arrive and answered as they are ready, in any order; responses
 * that are ready together are sent in one write. If a client does not read its answers, the agent stops reading its
 * queries. The connection's memory counts against its client's share.
 */
import type { Socket } from 'node:net';
import { type Family, familyOf } from '../../base/address.ts';
import type { ClientShare, Holding } from '../../base/clients/memory-ledger.ts';
import { LIMITS } from '../../base/limits.ts';
import { FrameReader, frame, putFrame } from '../../dns/frame.ts';
import type { Client } from '../../query/query.ts';
import { NONSENSE, PENDING, type QueryProcessor } from '../query-processor.ts';
import { RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES } from './reuseport-takeover.ts';
import type { TcpScheduler } from './scheduler.ts';

/** Room for the largest response and its OPT: over TCP, no response is written in place. */
const OUT_BYTES = 65_535 + 256;
/** How long a client may take to read the agent's FIN and send its own. */
const LINGER_MS = 500;
/** How long a client that must leave but waits for answers may send queries: one that never stops is closed as well. */
const LAST_QUERIES_MS = 1_000;
/** Cost of what is handled of one connection before other connections get their turn, in messages. */
const MESSAGES_PER_SLICE = 32;
/** Responses of one slice that are combined before they are written. */
const WRITE_BYTES = 16 * 1_024;
/** What a query that has to wait for its answer costs, in messages that are answered at once. */
const WAIT_COST = 4;
/** Memory of an idle connection: objects on both sides of the system call, measured. */
const CONNECTION_BYTES = 12 * 1_024;
/** Shared scratch: one response, and the responses of one slice, each in its frame. */
const out = Buffer.allocUnsafe(OUT_BYTES);
const framed = Buffer.allocUnsafe(WRITE_BYTES + OUT_BYTES);

/** Why a connection was closed: its client sent invalid queries, or left its answers unread. */
export type CloseReason = 'nonsense' | 'unread';

/** `maxQueries` is read again for each query, because a reload may change it. */
export interface TcpConnectionParts {
  readonly socket: Socket;
  /** `clientKey` of the client. */
  readonly key: string;
  readonly processor: QueryProcessor;
  readonly nowMs: () => number;
  readonly share: ClientShare;
  readonly isPressed: (share: ClientShare) => boolean;
  readonly scheduler: TcpScheduler;
  /** After so many queries the agent answers them and closes. */
  readonly maxQueries: () => number;
  readonly onClosed: (reason: CloseReason, key: string) => void;
}

/** Created when a client is accepted. The listener's sweep closes it when it is idle or its client does not read. */
export class TcpConnection implements Holding {
  readonly kind = 'connection';
  heldBytes = CONNECTION_BYTES;
  readonly key: string;
  readonly #parts: TcpConnectionParts;
  readonly #socket: Socket;
  readonly #processor: QueryProcessor;
  readonly #frames = new FrameReader(LIMITS.ednsUdpSizeBytes.max);
  readonly #remote: Client;
  /** Queries of this client that are in progress. */
  #pending = 0;
  /** Clock time of the last query or answer, for the idle sweep. */
  activeMs: number;
  /** When the client was asked to leave. */
  #endingMs: number | undefined;
  /** When the agent sent its FIN. */
  #endedMs: number | undefined;
  /** Whether it waits in the scheduler's queue. */
  #isQueued = false;
  /** Bytes in `framed` that belong to this connection, during a slice. */
  #framedBytes = 0;
  /** Complete queries received. */
  #received = 0;
  readonly #client = (): Client => this.#remote;
  readonly #deliver = (response: Buffer): void => this.#answered(response);

  constructor(parts: TcpConnectionParts) {
    const { socket, key, processor, nowMs } = parts;
    this.#parts = parts;
    this.#socket = socket;
    this.#processor = processor;
    this.activeMs = nowMs();
    const address = socket.remoteAddress ?? '';
    const family = (familyOf(address) ?? 4) as Family;
    this.key = key;
    this.#remote = {
      ...{ address, port: socket.remotePort ?? 0, family, key },
      get asked() {
        return socket.localAddress;
      },
    };
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('end', () => this.end());
    socket.on('drain', () => this.goOn());
    // A reset needs no action: 'close' follows and the listener forgets the connection.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      parts.scheduler.event();
      parts.share.remove(this);
    });
    parts.share.add(this);
  }

  /** Answers the queries received until the close, and closes (RFC 7766 §6.2.3: a server may close an idle connection). */
  end(): void {
    this.#endingMs ??= this.#parts.nowMs();
    this.goOn();
  }

  get hasAsked(): boolean {
    return this.#received > 0;
  }

  get isEnding(): boolean {
    return this.#endingMs !== undefined;
  }

  /** Closes at once; pending answers are lost. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Makes room for other clients. A reset, because after a FIN the kernel would keep the unread data. */
  giveWay(): void {
    this.#socket.resetAndDestroy();
  }

  /** Closes because the client does not read its answers. */
  abandon(): void {
    this.#parts.onClosed('unread', this.key);
    this.#socket.resetAndDestroy();
  }

  /** Whether an answer, or unsent bytes of one, is pending. */
  get hasPendingResponses(): boolean {
    return this.#pending > 0 || this.#frames.hasMore || this.#socket.writableLength > 0;
  }

  /** Whether received data cannot be read for want of memory, and no pending answer would free any. */
  get isStuck(): boolean {
    const isAnswered = this.#pending === 0 && this.#socket.writableLength === 0;
    return isAnswered && this.#frames.hasMore && !this.#hasRoom;
  }

  /**
   * Whether the agent has just sent a FIN: if it closed now, the kernel would answer a query in transit with a reset,
   * and the client would lose the FIN.
   */
  get isFinRecent(): boolean {
    return this.#endedMs !== undefined && this.#parts.nowMs() - this.#endedMs < LINGER_MS;
  }

  /** Whether answers are unsent because the client does not read. */
  get isUnread(): boolean {
    return this.#socket.writableLength > 0;
  }

  get #isWriteBlocked(): boolean {
    return this.#socket.writableLength >= this.#socket.writableHighWaterMark;
  }

  /** False after the agent's FIN or at the query limit. The socket is still read, to notice the client's FIN. */
  get #mayAsk(): boolean {
    if (this.#endedMs !== undefined || this.#received >= this.#parts.maxQueries()) return false;
    return this.#endingMs === undefined || this.#parts.nowMs() - this.#endingMs < LAST_QUERIES_MS;
  }

  get #hasRoom(): boolean {
    const { share, isPressed } = this.#parts;
    if (this.#pending >= LIMITS.tcpPipelinedQueries.default || this.#isWriteBlocked) return false;
    return !isPressed(share);
  }

  #data(chunk: Buffer): void {
    this.#parts.scheduler.event();
    if (!this.#mayAsk) return;
    this.#frames.feed(chunk);
    if (this.#parts.scheduler.hasTime) this.work();
    else this.#settle();
  }

  /** Handles part of the received data, then lets other connections have their turn. */
  work(): void {
    this.#isQueued = false;
    if (this.#socket.destroyed) return;
    const { scheduler } = this.#parts;
    for (let left = MESSAGES_PER_SLICE; left > 0 && scheduler.hasTime && this.#hasRoom; ) {
      const message = this.#frames.next();
      if (message === undefined) break;
      const cost = this.#take(message);
      scheduler.spend(cost);
      left -= cost;
    }
    this.#flush();
    this.#processor.flushDurations();
    this.#settle();
  }

  /** Decides the next step: read on, wait for a turn or for memory, or close. */
  #settle(): void {
    this.#frames.keep();
    const hasRoom = this.#hasRoom;
    if (this.#frames.hasMore) {
      this.#socket.pause();
      if (hasRoom) this.#yield();
    } else if (this.isEnding && this.#pending === 0 && this.#socket.writable) {
      this.#endedMs = this.#parts.nowMs();
      this.#socket.end();
      this.#socket.resume();
    } else if (hasRoom) {
      if (this.#socket.isPaused()) this.#socket.resume();
    } else {
      this.#socket.pause();
    }
    this.#parts.share.resize(this, this.#cost());
  }

  #yield(): void {
    this.#socket.pause();
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#parts.scheduler.enqueue(this);
  }

  /** Memory that the connection uses in the process and the kernel. */
  #cost(): number {
    const unsent = this.#socket.writableLength;
    const unread = this.#socket.isPaused() ? RECEIVE_BUFFER_BYTES : 0;
    const kernel = unread + (unsent > 0 ? SEND_BUFFER_BYTES : 0);
    return CONNECTION_BYTES + this.#frames.heldBytes + unsent + kernel;
  }

  /** Returns its cost, in messages that are answered at once: a whole slice if the connection had to be closed. */
  #take(message: Buffer): number {
    // One read may bring several queries: those beyond the limit are ignored.
    if (!this.#mayAsk) return 1;
    this.#received++;
    if (this.#received >= this.#parts.maxQueries()) this.#endingMs ??= this.#parts.nowMs();
    this.activeMs = this.#parts.nowMs();
    const length = this.#processor.receive(
      message,
      message.length,
      this.activeMs,
      this.#client,
      out,
      this.#deliver,
    );
    if (length === PENDING) this.#pending++;
    else if (length > 0) this.#put(out.subarray(0, length));
    if (length !== NONSENSE && !this.#frames.isCut) return length === PENDING ? WAIT_COST : 1;
    this.#flush();
    this.#parts.onClosed('nonsense', this.key);
    this.#endingMs ??= this.activeMs;
    this.#endedMs = this.activeMs;
    // The answers to its earlier queries are sent first.
    this.#socket.destroySoon();
    return MESSAGES_PER_SLICE;
  }

  #put(response: Buffer): void {
    this.#framedBytes = putFrame(framed, this.#framedBytes, response);
    if (this.#framedBytes >= WRITE_BYTES) this.#flush();
  }

  #flush(): void {
    const bytes = this.#framedBytes;
    this.#framedBytes = 0;
    if (bytes > 0) this.#write(Buffer.from(framed.subarray(0, bytes)));
  }

  /** Sends a late answer. */
  #answered(response: Buffer): void {
    this.#pending--;
    this.activeMs = this.#parts.nowMs();
    if (response.length > 0) this.#write(frame(response));
    this.goOn();
  }

  #write(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    // Bound on unsent answers to queries from before the client stopped reading.
    if (this.#socket.writableLength <= LIMITS.tcpUnsentBytes.default) {
      this.#socket.write(bytes);
      return;
    }
    this.abandon();
  }

  /** Resumes after an answer, after the client has read, or after memory may have become free. */
  goOn(): void {
    if (this.#socket.destroyed || this.#isQueued) return;
    if (this.#frames.hasMore && this.#hasRoom) this.#yield();
    else this.#settle();
  }
}
