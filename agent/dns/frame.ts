/** Two-octet length framing of DNS over streams (RFC 1035 §4.2.2, RFC 7766 §8). */

/** Longest message a frame can carry. */
export const MAX_FRAME_BYTES = 65_535;

/**
 * Cuts a byte stream into messages. Holds at most one unfinished frame, in a buffer of the frame's size, so a sender
 * that drips octets costs neither memory nor repeated copying.
 */
export class FrameReader {
  /** First octet of the length where only that one has arrived, else -1. */
  #lengthHigh = -1;
  #frame: Buffer | undefined;
  #filled = 0;

  /** Calls `onMessage` for each whole message; the message is only valid during the call. */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame !== undefined) {
        at += this.#fill(chunk, at, onMessage);
      } else if (this.#lengthHigh < 0 && chunk.length - at < 2) {
        this.#lengthHigh = chunk[at++] as number;
      } else {
        at = this.#start(chunk, at, onMessage);
      }
    }
  }

  /** Whether an unfinished frame waits for more. */
  get isMidFrame(): boolean {
    return this.#frame !== undefined || this.#lengthHigh >= 0;
  }

  #start(chunk: Buffer, offset: number, onMessage: (message: Buffer) => void): number {
    let at = offset;
    const high = this.#lengthHigh >= 0 ? this.#lengthHigh : (chunk[at++] as number);
    const length = (high << 8) | (chunk[at++] as number);
    this.#lengthHigh = -1;
    if (chunk.length - at >= length) {
      onMessage(chunk.subarray(at, at + length));
      return at + length;
    }
    this.#frame = Buffer.allocUnsafe(length);
    this.#filled = 0;
    return at;
  }

  #fill(chunk: Buffer, offset: number, onMessage: (message: Buffer) => void): number {
    const frame = this.#frame as Buffer;
    const taken = chunk.copy(frame, this.#filled, offset);
    this.#filled += taken;
    if (this.#filled === frame.length) {
      this.#frame = undefined;
      onMessage(frame);
    }
    return taken;
  }
}

/** A message with its length in front. Throws RangeError over 65,535 octets. */
export function frame(message: Uint8Array): Buffer {
  if (message.length > MAX_FRAME_BYTES) throw new RangeError(`message of ${message.length} octets`);
  const framed = Buffer.allocUnsafe(message.length + 2);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  return framed;
}
