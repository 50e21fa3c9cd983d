/** The body of an HTTP response, as a frame. Copied: each part alone would keep the memory of all that was received with it. */
import { MAX_FRAME_BYTES } from '../../dns/frame.ts';
import { putU16 } from '../../dns/header.ts';

const LENGTH_BYTES = 2;
const NOTHING = Buffer.alloc(0);

export class HttpBody {
  #memory = NOTHING;
  #end = LENGTH_BYTES;

  /** Memory that it has. */
  get heldBytes(): number {
    return this.#memory.length;
  }

  /** Length of what was added. */
  get messageBytes(): number {
    return this.#end - LENGTH_BYTES;
  }

  /** False if it became too long for a frame: `part` is then not added. */
  add(part: Buffer): boolean {
    const end = this.#end + part.length;
    if (end > LENGTH_BYTES + MAX_FRAME_BYTES) return false;
    if (end > this.#memory.length) {
      const larger = Buffer.alloc(Math.max(end, 2 * this.#memory.length));
      this.#memory.copy(larger, 0, 0, this.#end);
      this.#memory = larger;
    }
    part.copy(this.#memory, this.#end);
    this.#end = end;
    return true;
  }

  /** Frees its memory. */
  clear(): void {
    this.#memory = NOTHING;
    this.#end = LENGTH_BYTES;
  }

  frame(): Buffer {
    putU16(this.#memory, 0, this.#end - LENGTH_BYTES);
    return this.#memory.subarray(0, this.#end);
  }
}
