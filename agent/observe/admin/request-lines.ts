/** What a client sends, line by line. It stays with the socket until it is asked for. */
import type { Socket } from 'node:net';

/** Taken from the socket at once; a socket with as much unread is not read any more. */
export const READ_BYTES = 512;
const LINE_FEED = 0x0a;
const NOTHING = Buffer.alloc(0);

export class RequestLines {
  readonly #socket: Socket;
  /** Taken from the socket and not handed out yet. */
  #taken: Buffer = NOTHING;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether there are bytes, or an end that was not seen yet. */
  get hasMore(): boolean {
    return this.#taken.length > 0 || this.#socket.readableLength > 0 || this.hasEnded;
  }

  /** Whether the client sends no more and everything has been handed out. */
  get hasEnded(): boolean {
    return this.#taken.length === 0 && this.#socket.readableEnded;
  }

  /** Up to the next line feed, or what there is; undefined where there is nothing. */
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
    // Without bytes to take, the call makes the socket tell that the client has ended.
    const bytes = readableLength === 0 ? undefined : Math.min(readableLength, READ_BYTES);
    return (this.#socket.read(bytes) as Buffer | null) ?? NOTHING;
  }
}
