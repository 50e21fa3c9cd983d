/**
 * One HTTP connection, between its socket and node:http's parser, which alone would read everything a client sends and
 * buffer every response. This class reads a request only after the previous response was sent, limits every wait, and
 * knows how much the kernel may buffer for the client.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Holding } from '../../base/clients/memory-ledger.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { PacedWork } from '../../base/paced-work.ts';
import { RequestHeads } from './request-heads.ts';

/** Why a connection was closed early. */
export type CloseReason =
  | 'request_timeout'
  | 'response_timeout'
  | 'connections'
  | 'memory'
  | 'malformed';

/** What a connection needs, and its callbacks. */
export interface HttpConnectionParts {
  /** Key of this connection's client in `PacedWork`. */
  readonly key: string;
  readonly clock: Clock;
  readonly work: PacedWork;
  /** Passes the connection to an HTTP server. Called when the first bytes have arrived. */
  readonly serve: (connection: HttpConnection) => void;
  /** The connection now costs `bytes`. */
  readonly onHeld: (bytes: number) => void;
  /** Called once, when it is closed. `reason` is undefined if nothing was cut off. */
  readonly onClosed: (reason: CloseReason | undefined) => void;
}

/** Memory of an idle connection: 6 KiB in the process (measured with 800 of them), the rest for the kernel's part. */
const CONNECTION_BYTES = 16 * 1_024;
/** Pieces passed to the parser in one job: a head, or what has arrived of one. */
const PIECES_AT_ONCE = 32;
/** A larger request is refused, if the parser has not refused it already: it does not count empty lines. */
const MAX_REQUEST_BYTES = 16 * 1_024;
/** Less than this is sent at once, more in this client's turn. */
const SMALL_BYTES = 8 * 1_024;
/** How long a connection closed by its client, or for being idle, is kept for data in transit. */
const LEAVE_MS = 2_000;
const TOO_LATE = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';

/** The side of the connection that the parser sees. Its `heldBytes` count in the client's share of memory. */
export class HttpConnection extends Duplex implements Holding {
  readonly kind = 'http';
  heldBytes = CONNECTION_BYTES;
  readonly #socket: Socket;
  readonly #parts: HttpConnectionParts;
  readonly #heads: RequestHeads;
  /** Bytes of the current request. */
  #requestBytes = 0;
  /** Bytes of all responses. The kernel may still buffer them: it does not report how much the client has read. */
  #sentBytes = 0;
  /** Bytes that `respond` has announced and that are not written yet. */
  #announcedBytes = 0;
  #isServed = false;
  #isScheduled = false;
  /** The parser has received the end of the input. */
  #isParsed = false;
  #isAnswering = false;
  #isSending = false;
  #isLeaving = false;
  #deadline: Timer | undefined;
  #reason: CloseReason | undefined;

  constructor(socket: Socket, parts: HttpConnectionParts) {
    super({ autoDestroy: false });
    this.#socket = socket;
    this.#heads = new RequestHeads(socket);
    this.#parts = parts;
    socket.on('readable', () => {
      this.#account();
      this.#schedule();
    });
    socket.on('end', () => this.#onEnd());
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
    this.#within(LIMITS.adminRequestMs.default, () => this.#refuseLate());
  }

  /** Whether everything is answered and only the client's FIN is missing. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** A request is complete; nothing more is read until `answered`. */
  answering(): void {
    this.#isAnswering = true;
    this.#isSending = false;
    this.#deadline?.cancel();
  }

  /** The response has a body of `bytes`. Returns whether it should be the last: the kernel then buffers enough. */
  respond(bytes: number): { readonly isLast: boolean } {
    this.#announcedBytes = bytes;
    this.#sentBytes += bytes;
    this.#account();
    return { isLast: this.#isUsedUp };
  }

  /** The kernel has accepted the response. */
  answered(): void {
    this.#isAnswering = false;
    this.#announcedBytes = 0;
    if (!this.writableEnded) this.#awaitRequest();
  }

  /** Closes the connection in any state. */
  close(reason: CloseReason): void {
    this.#reason ??= reason;
    this.destroy();
  }

  giveWay(): void {
    this.close('memory');
  }

  /** More data is pushed once the parser has consumed the last. */
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error) => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  /** The last response has been written. */
  override _final(done: () => void): void {
    if (this.#heads.hasEnded) this.#leave(LEAVE_MS);
    else this.#leave(LIMITS.adminResponseMs.default, 'response_timeout');
    done();
  }

  /**
   * Resets the connection, so that the kernel frees what the client has not read; after a normal close it would
   * retransmit for minutes. Errors are not passed on: the connection is closed and the caller cannot react.
   */
  override _destroy(
    error: (Error & { code?: string }) | null,
    done: (error?: Error | null) => void,
  ): void {
    this.#deadline?.cancel();
    const socket = this.#socket;
    const isEnding = socket.writableEnded && !socket.writableFinished;
    const isTcp = socket.remoteFamily !== undefined;
    if (isTcp && !isEnding && !socket.destroyed) socket.resetAndDestroy();
    else socket.destroy();
    if (error?.code?.startsWith('HPE_') === true) this.#reason ??= 'malformed';
    this.#parts.onClosed(this.#reason);
    done();
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────

  get #isUsedUp(): boolean {
    return this.#sentBytes >= LIMITS.adminConnectionBytes.default;
  }

  get #mayParse(): boolean {
    if (this.destroyed || this.#isLeaving || this.#isParsed) return false;
    return !this.#isAnswering && this.writableLength === 0 && this.readableLength === 0;
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#mayParse || !this.#heads.hasMore) return;
    this.#isScheduled = true;
    void this.#parts.work.run(this.#parts.key, () => {
      if (this.#mayParse) this.#parse();
      this.#isScheduled = false;
      this.#schedule();
    });
  }

  /** Passes at most one head at a time to the parser, so that no chunk contains two requests. */
  #parse(): void {
    if (this.#isUsedUp) {
      this.#leave(LIMITS.adminResponseMs.default, 'response_timeout');
      return;
    }
    if (!this.#isServed) {
      this.#isServed = true;
      this.#parts.serve(this);
      this.on('data', () => this.#schedule());
    }
    for (let pieces = PIECES_AT_ONCE; pieces > 0 && this.#mayParse; pieces--) {
      const piece = this.#heads.next();
      if (piece === undefined) break;
      this.#count(piece);
      this.push(piece);
    }
    if (this.#heads.hasEnded && this.#mayParse) this.#clientIsDone();
  }

  #count(piece: Buffer): void {
    // The first request's timeout started with the connection.
    if (this.#requestBytes === 0 && this.#sentBytes > 0)
      this.#within(LIMITS.adminRequestMs.default, () => this.#refuseLate());
    this.#requestBytes += piece.length;
    if (this.#requestBytes > MAX_REQUEST_BYTES) this.close('malformed');
  }

  #refuseLate(): void {
    this.#reason = 'request_timeout';
    this.#socket.write(TOO_LATE);
    this.#leave(LEAVE_MS, 'request_timeout');
  }

  #awaitRequest(): void {
    this.#isSending = false;
    this.#requestBytes = 0;
    this.#within(LIMITS.adminIdleMs.default, () => this.#leave(LEAVE_MS));
    this.#schedule();
  }

  // ── responses ─────────────────────────────────────────────────────────────────────────────────────────────────

  #send(chunks: readonly Buffer[], done: (error?: Error) => void): void {
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    const announced = Math.min(bytes, this.#announcedBytes);
    this.#announcedBytes -= announced;
    this.#sentBytes += bytes - announced;
    this.#account();
    if (!this.#isSending) {
      this.#isSending = true;
      this.#within(LIMITS.adminResponseMs.default, () => this.close('response_timeout'));
    }
    const transmit = (): void => this.#transmit(chunks, done);
    if (bytes <= SMALL_BYTES) transmit();
    else void this.#parts.work.run(this.#parts.key, transmit);
  }

  #transmit(chunks: readonly Buffer[], done: (error?: Error) => void): void {
    if (this.destroyed) return;
    const socket = this.#socket;
    const last = chunks.length - 1;
    socket.cork();
    for (const [index, chunk] of chunks.entries()) {
      if (index < last) socket.write(chunk);
      else socket.write(chunk, (error) => (error ? this.destroy() : this.#sent(done)));
    }
    socket.uncork();
  }

  #sent(done: (error?: Error) => void): void {
    done();
    // node:http answers some requests itself.
    if (!this.#isAnswering && this.writableLength === 0 && !this.writableEnded)
      this.#awaitRequest();
  }

  #onEnd(): void {
    // The client has received the agent's FIN, and so everything before it.
    if (this.#isLeaving && this.#socket.writableEnded) this.destroy();
    else this.#schedule();
  }

  /** The client sends no more, and all its requests are answered; it is unknown whether it has read the responses. */
  #clientIsDone(): void {
    this.#isParsed = true;
    if (this.#requestBytes > 0) this.push(null);
    else this.#leave(LEAVE_MS);
  }

  /**
   * Sends the agent's FIN and waits for the client's, which comes when it has read everything, for up to `withinMs`. If
   * the client's FIN has arrived already, the agent's is not sent: the socket would be closed at once.
   */
  #leave(withinMs: number, reason?: CloseReason): void {
    const { writableLength, readableEnded } = this.#socket;
    this.#isLeaving = true;
    if (readableEnded && this.#sentBytes === 0) {
      this.destroy();
      return;
    }
    if (writableLength === 0 && !readableEnded) this.#socket.end();
    this.#within(withinMs, () => {
      this.#reason ??= reason;
      this.destroy();
    });
  }

  #within(delayMs: number, onLate: () => void): void {
    this.#deadline?.cancel();
    if (!this.destroyed) this.#deadline = this.#parts.clock.after(delayMs, onLate);
  }

  #account(): void {
    this.#parts.onHeld(CONNECTION_BYTES + this.#sentBytes + this.#socket.readableLength);
  }
}
