/**
 * A hash table of offsets into an arena: open addressing in a typed array. A word contains an offset (28 bits) and four
 * bits of the hash, so that few keys are compared in vain. Keys are only in the arena. Entries are never removed.
 */
import type { FileReservation } from '../../base/clients/memory-ledger.ts';
import { free, type Room } from './arena.ts';

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

/** FNV-1a with a final mixing step, unsigned 32 bits. */
export function hashOf(key: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Finds records by their keys. It has no slots before the first `grow`. */
export class OffsetIndex {
  readonly #keys: Keys;
  readonly #room: Room;
  #held: FileReservation | undefined;
  #slots = new Uint32Array(0);
  count = 0;

  constructor(keys: Keys, room: Room) {
    this.#keys = keys;
    this.#room = room;
  }

  /** The record with this key; 0 if there is none. `hash` is the hash of the key's bytes. */
  find(key: Uint8Array, length: number, hash: number): number {
    const slots = this.#slots;
    if (slots.length === 0) return 0;
    for (let at = slotOf(hash, slots.length); ; at = at + 1 === slots.length ? 0 : at + 1) {
      const word = slots[at] as number;
      if (word === 0) return 0;
      const offset = word & OFFSET_MASK;
      if (isTagged(word, hash) && this.#keys.isAt(offset, key, length)) return offset;
    }
  }

  /** Adds the record of a new key: `makeRoom` must have been called. */
  add(offset: number, hash: number): void {
    put(this.#slots, offset, hash);
    this.count++;
  }

  /** Replaces the record at `from` by the one at `to` with the same key. */
  replace(from: number, to: number, hash: number): void {
    const slots = this.#slots;
    const word = wordOf(from, hash);
    let at = slotOf(hash, slots.length);
    while (slots[at] !== word) at = at + 1 === slots.length ? 0 : at + 1;
    slots[at] = wordOf(to, hash);
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
    const length = Math.max(least, wanted);
    const held = this.#room.take(4 * length);
    const slots = new Uint32Array(length);
    for (let at = 0; at < old.length; at++) {
      const offset = (old[at] as number) & OFFSET_MASK;
      if (offset !== 0) put(slots, offset, this.#keys.hashAt(offset));
      if (at % STEP_SLOTS === 0) yield;
    }
    this.free();
    this.#slots = slots;
    this.#held = held;
  }

  /** Frees the slots at once. Nothing is found afterwards. */
  free(): void {
    if (this.#held === undefined) return;
    free(this.#slots);
    this.#slots = new Uint32Array(0);
    this.#room.giveBack(this.#held);
    this.#held = undefined;
  }
}

function slotOf(hash: number, length: number): number {
  return Math.floor(hash * (length / UINT32));
}

/** The lowest bits of the hash distinguish most keys; the highest ones select the slot. */
function wordOf(offset: number, hash: number): number {
  return ((hash << OFFSET_BITS) | offset) >>> 0;
}

function isTagged(word: number, hash: number): boolean {
  return (word ^ (hash << OFFSET_BITS)) >>> OFFSET_BITS === 0;
}

function put(slots: Uint32Array, offset: number, hash: number): void {
  let at = slotOf(hash, slots.length);
  while (slots[at] !== 0) at = at + 1 === slots.length ? 0 : at + 1;
  slots[at] = wordOf(offset, hash);
}
