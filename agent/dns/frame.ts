/** Two-byte length framing of DNS over streams (RFC 1035 §4.2.2, RFC 7766 §8). */

/** Longest message a frame can carry. */
export const MAX_FRAME_BYTES = 65_535;
/** First size of the buffer for a message that arrives in parts; it doubles as the parts arrive. */
const FIRST_PART_BYTES = 512;

/**
 * Splits a byte stream into messages, one at a time. Holds at most one chunk and one unfinished message. The buffer for
 * an unfinished message grows with the data that has arrived, not with the announced length. So a sender that announces
 * 65,535 bytes and sends two uses almost no memory. A message longer than `maxBytes` is cut, and is the last one.
 */
export class FrameReader {
  #chunk: Buffer | undefined;
  /** Read position in `#chunk`. */
  #at = 0;
  /** Whether the chunk is a copy, which only this reader has. */
  #isKept = false;
  /** First byte of the length if only that one has arrived, else -1. */
  #lengthHigh = -1;
  /** Length of the partly received message, or what is read of it; else -1. */
  #length = -1;
  #isCut = false;
  #part: Buffer | undefined;
  #filled = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Accepts the next chunk of the stream. Call it only after `next` has returned undefined. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#isKept = false;
  }

  /** Copies what is unread of the chunk, whose memory may then be used for the next read of any stream. */
  keep(): void {
    const chunk = this.#chunk;
    if (chunk === undefined || this.#isKept) return;
    if (this.hasMore) {
      const rest = Buffer.allocUnsafeSlow(chunk.length - this.#at);
      chunk.copy(rest, 0, this.#at);
      this.feed(rest);
      this.#isKept = true;
    } else {
      this.#chunk = undefined;
    }
  }

  /** The next whole message, valid until the next call; undefined if the chunk contains no more. */
  next(): Buffer | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    if (this.#length < 0 && !this.#readLength(chunk)) return this.#end();
    const missing = this.#length - this.#filled;
    const there = Math.min(missing, chunk.length - this.#at);
    if (there === missing && this.#filled === 0) {
      const message = chunk.subarray(this.#at, this.#at + there);
      this.#at += there;
      this.#length = -1;
      return message;
    }
    this.#append(chunk, there);
    return there === missing ? this.#whole() : this.#end();
  }

  /** As `feed` and `next` to the end of the chunk. Each message is valid only during its call. */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    this.feed(chunk);
    for (let message = this.next(); message !== undefined; message = this.next())
      onMessage(message);
  }

  /** Whether there are unread bytes. */
  get hasMore(): boolean {
    return this.#chunk !== undefined && this.#at < this.#chunk.length;
  }

  /** Whether a message is incomplete. */
  get isMidFrame(): boolean {
    return this.#length >= 0 || this.#lengthHigh >= 0;
  }

  /** Whether the message was longer than `maxBytes`; what follows it is no message. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Memory of the chunk and of the unfinished message. */
  get heldBytes(): number {
    return (this.#chunk?.length ?? 0) + (this.#part?.length ?? 0);
  }

  #readLength(chunk: Buffer): boolean {
    if (this.#lengthHigh < 0) {
      if (this.#at >= chunk.length) return false;
      this.#lengthHigh = chunk[this.#at++] as number;
    }
    if (this.#at >= chunk.length) return false;
    const length = (this.#lengthHigh << 8) | (chunk[this.#at++] as number);
    this.#length = Math.min(length, this.#maxBytes);
    this.#isCut = length > this.#maxBytes;
    this.#lengthHigh = -1;
    return true;
  }

  #append(chunk: Buffer, bytes: number): void {
    const part = this.#roomFor(this.#filled + bytes);
    chunk.copy(part, this.#filled, this.#at, this.#at + bytes);
    this.#filled += bytes;
    this.#at += bytes;
  }

  #roomFor(bytes: number): Buffer {
    const part = this.#part;
    if (part !== undefined && part.length >= bytes) return part;
    const size = Math.min(this.#length, Math.max(bytes, 2 * (part?.length ?? 0), FIRST_PART_BYTES));
    const grown = Buffer.allocUnsafeSlow(size);
    part?.copy(grown, 0, 0, this.#filled);
    this.#part = grown;
    return grown;
  }

  #whole(): Buffer {
    const message = (this.#part as Buffer).subarray(0, this.#length);
    this.#part = undefined;
    this.#filled = 0;
    this.#length = -1;
    return message;
  }

  #end(): undefined {
    this.#chunk = undefined;
    return undefined;
  }
}

/** A message after its length. Throws RangeError above 65,535 bytes. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(message.length + 2);
  putFrame(framed, 0, message);
  return framed;
}

/** Writes `message` after its length into `out` at `offset`; returns the end. Throws RangeError above 65,535 bytes. */
export function putFrame(out: Buffer, offset: number, message: Uint8Array): number {
  if (message.length > MAX_FRAME_BYTES) throw new RangeError(`message of ${message.length} bytes`);
  out.writeUInt16BE(message.length, offset);
  out.set(message, offset + 2);
  return offset + 2 + message.length;
}
