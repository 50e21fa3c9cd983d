/**
 * One TCP client (RFC 7766): queries are read as they come and answered as they are ready, in any order; responses
 * that are ready together leave in one write.
 */
import type { Socket } from 'node:net';
import { type Family, familyOf } from '../../base/address.ts';
import { LIMITS } from '../../base/limits.ts';
import { FrameReader, frame } from '../../dns/frame.ts';
import type { Client } from '../../query/query.ts';
import { type Admission, PENDING } from '../admission.ts';

/** Room for the largest response and its OPT. */
const OUT_BYTES = 65_535 + 256;
/** Shared scratch: a response is copied into its frame before the next one is written here. */
const out = Buffer.allocUnsafe(OUT_BYTES);

export class TcpConnection {
  readonly #socket: Socket;
  readonly #admission: Admission;
  readonly #nowMs: () => number;
  readonly #frames = new FrameReader();
  readonly #remote: Client;
  /** Queries of this client that are not answered yet. */
  pending = 0;
  /** Clock moment of the last query or answer, for the idle sweep. */
  activeMs: number;
  #isEnding = false;
  readonly #client = (): Client => this.#remote;
  readonly #deliver = (response: Buffer): void => {
    this.pending--;
    this.activeMs = this.#nowMs();
    if (response.length > 0) this.#write(response);
    this.#resumeOrEnd();
  };
  readonly #message = (message: Buffer): void => this.#received(message);

  constructor(socket: Socket, admission: Admission, nowMs: () => number) {
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
    socket.on('drain', () => this.#resumeOrEnd());
    // A reset is the client's affair; 'close' follows and the listener lets go of us.
    socket.on('error', () => socket.destroy());
  }

  /** Answers what has been asked, then closes (RFC 7766 §6.2.3: the server may close an idle connection). */
  end(): void {
    this.#isEnding = true;
    this.#resumeOrEnd();
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get isWriteBlocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  #data(chunk: Buffer): void {
    // Still read, so that the client's own end is noticed; what it asks now goes to another connection.
    if (this.#isEnding) return;
    this.#socket.cork();
    this.#frames.push(chunk, this.#message);
    this.#socket.uncork();
    if (this.pending >= LIMITS.tcpPipelinedQueries.default || this.isWriteBlocked) {
      this.#socket.pause();
    }
  }

  #received(message: Buffer): void {
    this.activeMs = this.#nowMs();
    const length = this.#admission.receive(
      message,
      message.length,
      this.activeMs,
      this.#client,
      out,
      this.#deliver,
    );
    if (length === PENDING) this.pending++;
    else if (length > 0) this.#write(out.subarray(0, length));
  }

  #write(response: Buffer): void {
    if (this.#socket.writable) this.#socket.write(frame(response));
  }

  #resumeOrEnd(): void {
    if (this.#isEnding && this.pending === 0 && this.#socket.writable) this.#socket.end();
    const hasRoom = this.pending < LIMITS.tcpPipelinedQueries.default && !this.isWriteBlocked;
    if (hasRoom && this.#socket.isPaused()) this.#socket.resume();
  }
}
