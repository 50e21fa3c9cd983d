/** A client's data, line by line. It stays in the socket until it is requested. */
import type { Socket } from 'node:net';

/** Bytes read from the socket at once; a socket with as many unread bytes is not read any more. */
export const READ_BYTES = 512;
const LINE_FEED = 0x0a;
const NOTHING = Buffer.alloc(0);

/** Reads one socket. `next` takes at most `READ_BYTES` from it. */
export class RequestLines {
  readonly #socket: Socket;
  /** Read from the socket but not returned yet. */
  #taken: Buffer = NOTHING;

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

  /** Data up to the next line feed, or what there is; undefined if there is nothing. */
  next(): Buffer | undefined {
    if (this.#taken.length === 0) this.#taken = this.#take();
    if (this.#taken.length === 0) return undefined;
    const end = this.#taken.indexOf(LINE_FEED) + 1 || this.#taken.length;
    const line = this.#taken.subarray(0, end);
    this.#taken = this.#taken.subarray(end);
    return line;
  }

  #take(): Buffer {
    const { readableLength } = this.#socket;
    // Without bytes to read, the call makes the socket report the client's end.
    const bytes = readableLength === 0 ? undefined : Math.min(readableLength, READ_BYTES);
    return (this.#socket.read(bytes) as Buffer | null) ?? NOTHING;
  }
}
