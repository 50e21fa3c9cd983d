/**
 * Memory outside the heap for content of files, in segments that are used again.
 *
 * V8 counts what array buffers hold, and starts a full garbage collection after some megabytes more: several in each read
 * of a large file, although none of them would free anything, and each delays answers. It does not count shared buffers.
 * These are freed only by a full collection, so a segment that is not in use waits, without pages, for the next reader.
 */

export const SEGMENT_BITS = 18;
export const SEGMENT_BYTES = 1 << SEGMENT_BITS;

/** Sets all bytes to zero; if it can, it also returns their pages to the kernel until they are used again. */
export type ClearBytes = (bytes: Uint8Array) => void;

/** Takes and frees memory. What it keeps is never more than was in use at one time. */
export class Segments {
  readonly #clear: ClearBytes;
  /** All zeros. */
  readonly #unused: SharedArrayBuffer[] = [];

  constructor(clear: ClearBytes) {
    this.#clear = clear;
  }

  /** `bytes` zeros, at most `SEGMENT_BYTES`. The caller must `free` them. */
  take(bytes: number): ArrayBufferLike {
    if (bytes < SEGMENT_BYTES) return new ArrayBuffer(bytes);
    return this.#unused.pop() ?? new SharedArrayBuffer(SEGMENT_BYTES);
  }

  /** Frees what `take` returned, now, not at the next garbage collection. It must not be used afterwards. */
  free(memory: ArrayBufferLike): void {
    if (memory instanceof SharedArrayBuffer) {
      this.#clear(new Uint8Array(memory));
      this.#unused.push(memory);
    } else memory.transfer(0);
  }
}
