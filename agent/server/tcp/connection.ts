/**
 * One TCP client (RFC 7766): queries are read as they come and answered as they are ready, in any order; responses
 * that are ready together leave in one write. Who does not read its answers is not read either.
 */
import type { Socket } from 'node:net';
import { type Family, familyOf } from '../../base/address.ts';
import { LIMITS } from '../../base/limits.ts';
import { FrameReader, frame } from '../../dns/frame.ts';
import type { Client } from '../../query/query.ts';
import { type Admission, PENDING } from '../admission.ts';

/** Room for the largest response and its OPT: over TCP none is delivered synchronously. */
const OUT_BYTES = 65_535 + 256;
/** How long a client is given to read our FIN and send its own. */
const LINGER_MS = 500;
/** Who is to end but still waits for answers may ask for so long: then one that never stops asking is ended, too. */
const LAST_QUERIES_MS = 1_000;
/** Shared scratch: a response is copied into its frame before the next one is written here. */
const out = Buffer.allocUnsafe(OUT_BYTES);

export class TcpConnection {
  readonly #socket: Socket;
  readonly #admission: Admission;
  readonly #nowMs: () => number;
  readonly #maxQueries: () => number;
  readonly #frames = new FrameReader();
  readonly #remote: Client;
  /** Copies of queries that came in one read with others and must wait for room; bounded by the size of a read. */
  #held: Buffer[] = [];
  /** Queries of this client that are not answered yet. */
  #pending = 0;
  /** Clock moment of the last query or answer, for the idle sweep. */
  activeMs: number;
  /** When it was told to end. */
  #endingMs: number | undefined;
  /** When it was sent our FIN. */
  #endedMs: number | undefined;
  readonly #client = (): Client => this.#remote;
  readonly #deliver = (response: Buffer): void => {
    this.#pending--;
    this.activeMs = this.#nowMs();
    if (response.length > 0) this.#write(response);
    this.#goOn();
  };
  readonly #message = (message: Buffer): void => this.#take(message);

  /** Whole queries that have arrived. */
  #received = 0;

  /** After `maxQueries()` queries it answers those and closes. */
  constructor(
    socket: Socket,
    admission: Admission,
    nowMs: () => number,
    maxQueries: () => number = () => Number.POSITIVE_INFINITY,
  ) {
    this.#maxQueries = maxQueries;
    this.#socket = socket;
    this.#admission = admission;
    this.#nowMs = nowMs;
    this.activeMs = nowMs();
    const address = socket.remoteAddress ?? '';
    const family = (familyOf(address) ?? 4) as Family;
    this.#remote = { address, port: socket.remotePort ?? 0, family };
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('end', () => this.end());
    socket.on('drain', () => this.#goOn());
    // A reset is the client's affair; 'close' follows and the listener lets go of us.
    socket.on('error', () => socket.destroy());
  }

  /**
   * Answers what has been asked, and what is asked until then, and closes (RFC 7766 §6.2.3: the server may close an idle
   * connection).
   */
  end(): void {
    this.#endingMs ??= this.#nowMs();
    this.#goOn();
  }

  get hasAsked(): boolean {
    return this.#received > 0;
  }

  get isEnding(): boolean {
    return this.#endingMs !== undefined;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Whether it waits for an answer, or for the octets of one. */
  get isOwed(): boolean {
    return this.#pending > 0 || this.#held.length > 0 || this.#socket.writableLength > 0;
  }

  /** Whether it has just been sent a FIN: closing now would answer a query on its way with a reset, which eats the FIN. */
  get mayNotKnow(): boolean {
    return this.#endedMs !== undefined && this.#nowMs() - this.#endedMs < LINGER_MS;
  }

  get isWriteBlocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Not after our FIN, nor when it has brought all it may: it is still read, so that its own end is noticed. */
  get #mayAsk(): boolean {
    if (this.#endedMs !== undefined || this.#received >= this.#maxQueries()) return false;
    return this.#endingMs === undefined || this.#nowMs() - this.#endingMs < LAST_QUERIES_MS;
  }

  get #hasRoom(): boolean {
    return this.#pending < LIMITS.tcpPipelinedQueries.default && !this.isWriteBlocked;
  }

  #data(chunk: Buffer): void {
    if (!this.#mayAsk) return;
    this.#socket.cork();
    this.#frames.push(chunk, this.#message);
    this.#admission.depart();
    this.#socket.uncork();
    if (!this.#hasRoom) this.#socket.pause();
  }

  #take(message: Buffer): void {
    // Several may have come in one read: those behind the last that is allowed are not asked.
    if (!this.#mayAsk) return;
    this.#received++;
    if (this.#held.length > 0 || !this.#hasRoom) this.#held.push(Buffer.from(message));
    else this.#ask(message);
    if (this.#received >= this.#maxQueries()) this.end();
  }

  #ask(message: Buffer): void {
    this.activeMs = this.#nowMs();
    const length = this.#admission.receive(
      message,
      message.length,
      this.activeMs,
      this.#client,
      out,
      this.#deliver,
    );
    if (length === PENDING) this.#pending++;
    else if (length > 0) this.#write(out.subarray(0, length));
  }

  #write(response: Buffer): void {
    if (!this.#socket.writable) return;
    // Answers to what was asked before the client stopped reading pile up only so far.
    if (this.#socket.writableLength > LIMITS.tcpUnsentBytes.default) this.#socket.destroy();
    else this.#socket.write(frame(response));
  }

  /** After an answer, or when the client has read: asks what was held back, then reads on or ends. */
  #goOn(): void {
    if (this.#socket.destroyed) return;
    if (this.#held.length > 0 && this.#hasRoom) this.#askHeld();
    if (this.#held.length > 0) return;
    if (this.isEnding && this.#pending === 0 && this.#socket.writable) {
      this.#endedMs = this.#nowMs();
      this.#socket.end();
    }
    if (this.#hasRoom && this.#socket.isPaused()) this.#socket.resume();
  }

  #askHeld(): void {
    const held = this.#held;
    let asked = 0;
    this.#socket.cork();
    while (asked < held.length && this.#hasRoom) this.#ask(held[asked++] as Buffer);
    this.#admission.depart();
    this.#socket.uncork();
    this.#held = held.slice(asked);
  }
}
