/** A client's data, up to the end of each request's head. It stays in the socket until it is requested. */
import type { Socket } from 'node:net';

/** Bytes read from the socket at once; a socket with as many unread bytes is not read any more. */
export const READ_BYTES = 512;
const LINE_FEED = 0x0a;
const NOTHING = Buffer.alloc(0);

/** Reads one socket. `next` takes at most `READ_BYTES` from it. */
export class RequestHeads {
  readonly #socket: Socket;
  /** Read from the socket but not returned yet. */
  #taken: Buffer = NOTHING;
  /** Bytes of the last line that were returned already. */
  #lineBytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether there is unread data, or an unseen end. */
  get hasMore(): boolean {
    return this.#taken.length > 0 || this.#socket.readableLength > 0 || this.hasEnded;
  }

  /** Whether the client has ended and all data has been returned. */
  get hasEnded(): boolean {
    return this.#taken.length === 0 && this.#socket.readableEnded;
  }

  /** Data up to the end of the next empty line, or what there is; undefined if there is nothing. */
  next(): Buffer | undefined {
    if (this.#taken.length === 0) this.#taken = this.#take();
    if (this.#taken.length === 0) return undefined;
    const end = this.#endOfHead();
    const data = this.#taken.subarray(0, end);
    this.#taken = this.#taken.subarray(end);
    return data;
  }

  #endOfHead(): number {
    const { length } = this.#taken;
    for (let start = 0; start < length; ) {
      const end = this.#taken.indexOf(LINE_FEED, start);
      if (end === -1) {
        this.#lineBytes += length - start;
        break;
      }
      // A single byte is a carriage return, or no HTTP.
      const isEmpty = this.#lineBytes + end - start <= 1;
      this.#lineBytes = 0;
      start = end + 1;
      if (isEmpty) return start;
    }
    return length;
  }

  #take(): Buffer {
    const { readableLength } = this.#socket;
    // Without bytes to read, the call makes the socket report the client's end.
    const bytes = readableLength === 0 ? undefined : Math.min(readableLength, READ_BYTES);
    return (this.#socket.read(bytes) as Buffer | null) ?? NOTHING;
  }
}
