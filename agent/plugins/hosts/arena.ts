/**
 * Octets that are only ever added to, in segments off the heap, and what room they take of the ledger's budget for files.
 */

import type { FileReservation, MemoryLedger } from '../../base/clients/memory-ledger.ts';
import { NodensError } from '../../base/errors.ts';

const SEGMENT_BITS = 18;
const SEGMENT_BYTES = 1 << SEGMENT_BITS;
/** A table of a file of a few lines need not have more. */
const SMALLEST_BYTES = 1_024;
/** Offsets have 28 bits: the other four of a word are the index's. */
const MAX_SEGMENTS = 1 << (28 - SEGMENT_BITS);

/** Thrown where a table does not fit. */
export class NoRoomError extends NodensError {
  /** What the whole table is thought to need; a multiple of what was read so far. */
  readonly neededBytes: number;
  readonly availableBytes: number;

  constructor(neededBytes: number, availableBytes: number) {
    super(
      'NODENS_NO_ROOM',
      `needs ${neededBytes} bytes of the memory for files, ${availableBytes} are available`,
    );
    this.neededBytes = neededBytes;
    this.availableBytes = availableBytes;
  }
}

/** What one table holds of the budget. */
export class Room {
  readonly #ledger: MemoryLedger;
  readonly #held = new Set<FileReservation>();
  /** What is thought to be read of the file, 0 to 1: `neededBytes` of an error is in proportion. */
  progress = 0;
  bytes = 0;

  constructor(ledger: MemoryLedger) {
    this.#ledger = ledger;
  }

  /** Room for `bytes` more. Throws NoRoomError. */
  take(bytes: number): FileReservation {
    const held = this.#ledger.reserveFile(bytes);
    if (held === undefined) {
      const needed = Math.ceil((this.bytes + bytes) / Math.max(this.progress, 0.01));
      throw new NoRoomError(needed, this.bytes + this.#ledger.fileRoomBytes);
    }
    this.#held.add(held);
    this.bytes += bytes;
    return held;
  }

  giveBack(held: FileReservation): void {
    if (!this.#held.delete(held)) return;
    held.release();
    this.bytes -= held.bytes;
  }

  release(): void {
    for (const held of this.#held) this.giveBack(held);
  }
}

/** Frees the memory of an array now, not when the collector comes to it: the next table needs it. */
export function free(array: Uint8Array | Uint32Array): void {
  (array.buffer as ArrayBuffer).transfer(0);
}

export class Arena {
  readonly #room: Room;
  readonly #segments: Uint8Array[] = [];
  /** Where the last segment begins. */
  #base = -SEGMENT_BYTES;
  /** How much of the last segment is in use. Offset 0 is nothing's. */
  #used = SEGMENT_BYTES;

  constructor(room: Room) {
    this.#room = room;
  }

  /** Offset of `bytes` fresh octets in a row: `ensure` has been called for at least as many. */
  add(bytes: number): number {
    const offset = this.next;
    this.#used += bytes;
    return offset;
  }

  /** Offset of what is added next, if it fits. */
  get next(): number {
    return this.#base + this.#used;
  }

  /**
   * Makes the next `bytes` octets, a few hundred, lie in one segment. A new one has as many octets as are thought to come,
   * `hintBytes`, within bounds. Throws NoRoomError.
   */
  ensure(bytes: number, hintBytes: number): void {
    if (!this.hasRoom(bytes)) this.#grow(hintBytes);
  }

  /** The segment that holds `offset`; its own octets begin at `offset & Arena.MASK`. */
  segment(offset: number): Uint8Array {
    return this.#segments[offset >>> SEGMENT_BITS] as Uint8Array;
  }

  /** Whether `bytes` more octets would be in the segment of the last ones. */
  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= (this.#segments.at(-1)?.length ?? 0);
  }

  static readonly MASK = SEGMENT_BYTES - 1;

  #grow(hintBytes: number): void {
    const length = Math.min(SEGMENT_BYTES, Math.max(SMALLEST_BYTES, Math.ceil(hintBytes)));
    if (this.#segments.length === MAX_SEGMENTS)
      throw new NoRoomError(this.#room.bytes + length, this.#room.bytes);
    this.#room.take(length);
    this.#segments.push(new Uint8Array(length));
    this.#base += SEGMENT_BYTES;
    this.#used = this.#base === 0 ? 1 : 0;
  }

  *free(): Generator<void> {
    for (const segment of this.#segments.splice(0)) {
      free(segment);
      yield;
    }
  }
}
