/** Append-only bytes in segments outside the heap, and their share of the ledger's budget for files. */

import type { FileReservation, MemoryLedger } from '../../base/clients/memory-ledger.ts';
import { NodensError } from '../../base/errors.ts';
import { SEGMENT_BITS, SEGMENT_BYTES, type Segments } from '../../base/segments.ts';

/** A table of a file of a few lines needs no more. */
const SMALLEST_BYTES = 1_024;
/** Offsets have 28 bits: the index uses the other four of a word. */
const MAX_SEGMENTS = 1 << (28 - SEGMENT_BITS);

/** Thrown if a table does not fit. */
export class NoRoomError extends NodensError {
  /** Estimated size of the whole table, extrapolated from the part read so far. */
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

/** What one table uses of the budget. */
export class Room {
  readonly #ledger: MemoryLedger;
  /** Gives the memory that has been reserved. */
  readonly segments: Segments;
  readonly #held = new Set<FileReservation>();
  /** Estimated part of the file that has been read, 0 to 1: an error's `neededBytes` is extrapolated from it. */
  progress = 0;
  bytes = 0;

  constructor(ledger: MemoryLedger) {
    this.#ledger = ledger;
    this.segments = ledger.segments;
  }

  /** Reserves `bytes` more. Throws NoRoomError. */
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

  /** Ends one reservation of `take`. A second call has no effect. */
  giveBack(held: FileReservation): void {
    if (!this.#held.delete(held)) return;
    held.release();
    this.bytes -= held.bytes;
  }

  /** Ends all reservations. */
  release(): void {
    for (const held of this.#held) this.giveBack(held);
  }
}

/** The bytes of one table. Data is found by its offset, and its memory counts in `room`. */
export class Arena {
  readonly #room: Room;
  readonly #segments: Uint8Array[] = [];
  /** Offset of the last segment. */
  #base = -SEGMENT_BYTES;
  /** Bytes used in the last segment. Offset 0 is never used. */
  #used = SEGMENT_BYTES;

  constructor(room: Room) {
    this.#room = room;
  }

  /** Offset of `bytes` new contiguous bytes: `ensure` must have been called for at least as many. */
  add(bytes: number): number {
    const offset = this.next;
    this.#used += bytes;
    return offset;
  }

  /** Offset of the next addition, if it fits. */
  get next(): number {
    return this.#base + this.#used;
  }

  /**
   * Ensures that the next `bytes` bytes, a few hundred, are in one segment. A new segment's size is the expected rest,
   * `hintBytes`, within limits. Throws NoRoomError.
   */
  ensure(bytes: number, hintBytes: number): void {
    if (!this.hasRoom(bytes)) this.#grow(hintBytes);
  }

  /** The segment that contains `offset`; the data begins at `offset & Arena.MASK`. */
  segment(offset: number): Uint8Array {
    return this.#segments[offset >>> SEGMENT_BITS] as Uint8Array;
  }

  /** Whether `bytes` more bytes fit into the last segment. */
  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= (this.#segments.at(-1)?.length ?? 0);
  }

  static readonly MASK = SEGMENT_BYTES - 1;

  #grow(hintBytes: number): void {
    const length = Math.min(SEGMENT_BYTES, Math.max(SMALLEST_BYTES, Math.ceil(hintBytes)));
    if (this.#segments.length === MAX_SEGMENTS)
      throw new NoRoomError(this.#room.bytes + length, this.#room.bytes);
    this.#room.take(length);
    this.#segments.push(new Uint8Array(this.#room.segments.take(length)));
    this.#base += SEGMENT_BYTES;
    this.#used = this.#base === 0 ? 1 : 0;
  }

  /** Frees one segment a step. Its data must not be read afterwards. */
  *free(): Generator<void> {
    for (const segment of this.#segments.splice(0)) {
      this.#room.segments.free(segment.buffer);
      yield;
    }
  }
}
