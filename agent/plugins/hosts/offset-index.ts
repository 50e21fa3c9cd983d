/**
 * A hash table of offsets into an arena: open addressing in a typed array. A word contains an offset (28 bits) and four
 * bits of the hash, so that few keys are compared in vain. Keys are only in the arena. Entries are never removed.
 */
import type { FileReservation } from '../../base/clients/memory-ledger.ts';
import { SEGMENT_BITS, SEGMENT_BYTES, type Segments } from '../../base/segments.ts';
import type { Room } from './arena.ts';

/** Access to the keys of records. */
export interface Keys {
  /** Whether the key of the record at `offset` is the first `length` bytes of `key`. */
  isAt(offset: number, key: Uint8Array, length: number): boolean;
  /** `hashOf` the key of the record at `offset`. */
  hashAt(offset: number): number;
}

const OFFSET_BITS = 28;
const OFFSET_MASK = (1 << OFFSET_BITS) - 1;
const SMALLEST = 16;
/** Maximum share of slots in use. */
const LOAD = 0.75;
/** Load that a growing table should have at the end of the file. */
const TARGET_LOAD = 0.7;
/** Smallest growth that is worth the work. */
const LEAST_GROWTH = 1.25;
/** Slots moved per step. */
const STEP_SLOTS = 256;
const UINT32 = 2 ** 32;
const SLOT_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const SEGMENT_SLOTS = SEGMENT_BYTES / SLOT_BYTES;
const SEGMENT_SHIFT = SEGMENT_BITS - 2;

/** FNV-1a with a final mixing step, unsigned 32 bits. */
export function hashOf(key: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The words of an index: 0 is a free slot. More than one segment of them are whole segments. */
class Slots {
  readonly length: number;
  readonly #segments: Uint32Array[] = [];

  /** At least `wanted` slots; they can be used after `allocate`. */
  constructor(wanted: number) {
    const isSmall = wanted <= SEGMENT_SLOTS;
    this.length = isSmall ? wanted : Math.ceil(wanted / SEGMENT_SLOTS) * SEGMENT_SLOTS;
  }

  get bytes(): number {
    return SLOT_BYTES * this.length;
  }

  *allocate(from: Segments): Generator<void> {
    for (let left = this.bytes; left > 0; left -= SEGMENT_BYTES) {
      this.#segments.push(new Uint32Array(from.take(Math.min(left, SEGMENT_BYTES))));
      yield;
    }
  }

  get(at: number): number {
    return (this.#segments[at >>> SEGMENT_SHIFT] as Uint32Array)[at % SEGMENT_SLOTS] as number;
  }

  set(at: number, word: number): void {
    (this.#segments[at >>> SEGMENT_SHIFT] as Uint32Array)[at % SEGMENT_SLOTS] = word;
  }

  /** The slot to look at for a hash; `after` is the next one. */
  first(hash: number): number {
    return Math.floor(hash * (this.length / UINT32));
  }

  after(at: number): number {
    return at + 1 === this.length ? 0 : at + 1;
  }

  put(offset: number, hash: number): void {
    let at = this.first(hash);
    while (this.get(at) !== 0) at = this.after(at);
    this.set(at, wordOf(offset, hash));
  }

  *free(to: Segments): Generator<void> {
    for (const { buffer } of this.#segments.splice(0)) {
      to.free(buffer);
      yield;
    }
  }
}

/** Finds records by their keys. It has no slots before the first `grow`. */
export class OffsetIndex {
  readonly #keys: Keys;
  readonly #room: Room;
  #held: FileReservation | undefined;
  #slots = new Slots(0);
  count = 0;

  constructor(keys: Keys, room: Room) {
    this.#keys = keys;
    this.#room = room;
  }

  /** The record with this key; 0 if there is none. `hash` is the hash of the key's bytes. */
  find(key: Uint8Array, length: number, hash: number): number {
    const slots = this.#slots;
    if (slots.length === 0) return 0;
    for (let at = slots.first(hash); ; at = slots.after(at)) {
      const word = slots.get(at);
      if (word === 0) return 0;
      const offset = word & OFFSET_MASK;
      if (isTagged(word, hash) && this.#keys.isAt(offset, key, length)) return offset;
    }
  }

  /** Adds the record of a new key: `grow` must have been called if `isFull`. */
  add(offset: number, hash: number): void {
    this.#slots.put(offset, hash);
    this.count++;
  }

  /** Replaces the record at `from` by the one at `to` with the same key. */
  replace(from: number, to: number, hash: number): void {
    const slots = this.#slots;
    const word = wordOf(from, hash);
    let at = slots.first(hash);
    while (slots.get(at) !== word) at = slots.after(at);
    slots.set(at, wordOf(to, hash));
  }

  /** Whether `grow` must run before the next `add`. */
  isFull(): boolean {
    return this.count >= this.#slots.length * LOAD;
  }

  /** Grows, to `expected` keys if that number is enough. Throws NoRoomError. */
  *grow(expected: number): Generator<void> {
    const old = this.#slots;
    const wanted = Math.ceil(expected / TARGET_LOAD);
    const least = Math.max(SMALLEST, Math.ceil(old.length * LEAST_GROWTH));
    const slots = new Slots(Math.max(least, wanted));
    const held = this.#room.take(slots.bytes);
    yield* slots.allocate(this.#room.segments);
    for (let at = 0; at < old.length; at++) {
      const offset = old.get(at) & OFFSET_MASK;
      if (offset !== 0) slots.put(offset, this.#keys.hashAt(offset));
      if (at % STEP_SLOTS === 0) yield;
    }
    yield* this.free();
    this.#slots = slots;
    this.#held = held;
  }

  /** Frees the slots in steps. From the first step on nothing is found. */
  *free(): Generator<void> {
    if (this.#held === undefined) return;
    const [slots, held] = [this.#slots, this.#held];
    this.#slots = new Slots(0);
    this.#held = undefined;
    yield* slots.free(this.#room.segments);
    this.#room.giveBack(held);
  }
}

/** The lowest bits of the hash distinguish most keys; the highest ones select the slot. */
function wordOf(offset: number, hash: number): number {
  return ((hash << OFFSET_BITS) | offset) >>> 0;
}

function isTagged(word: number, hash: number): boolean {
  return (word ^ (hash << OFFSET_BITS)) >>> OFFSET_BITS === 0;
}
