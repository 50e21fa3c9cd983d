/**
 * A small table before the store, for questions as clients send them: found by a hash of their octets and compared octet
 * by octet, so that a hit makes no string and moves nothing. Whatever is not in it is found in the store as ever.
 */
import { HEADER_BYTES, u16 } from '../dns/header.ts';
import type { Query } from '../query/query.ts';
import type { Entry } from './entry.ts';

/** A power of two. A question has two places, in slots that differ in their lowest bit. */
const SLOTS = 8_192;

export class Front {
  readonly #entries: (Entry | undefined)[] = new Array<Entry | undefined>(SLOTS).fill(undefined);
  /** What a question's octets come to, for each slot: most others are told apart by it alone. */
  readonly #hashes = new Int32Array(SLOTS);

  /** The entry that answers `query` in the block, if it is here. */
  find(query: Query, blockId: number): Entry | undefined {
    const hash = hashOf(query, blockId);
    const slot = slotOf(hash);
    return this.#at(slot, hash, query, blockId) ?? this.#at(slot ^ 1, hash, query, blockId);
  }

  #at(slot: number, hash: number, query: Query, blockId: number): Entry | undefined {
    if (this.#hashes[slot] !== hash) return undefined;
    const entry = this.#entries[slot];
    return entry !== undefined && isAskedBy(entry, query, blockId) ? entry : undefined;
  }

  /** Remembers an entry of the store, in place of the one that has been here longer. */
  put(entry: Entry, query: Query, blockId: number): void {
    // A question of our own has no hash: the entry may be known by another.
    this.drop(entry);
    const hash = hashOf(query, blockId);
    const slot = slotOf(hash);
    const previous = this.#entries[slot];
    if (previous !== undefined) this.#set(slot ^ 1, previous, this.#hashes[slot] as number);
    entry.frontId = idOf(query, blockId);
    this.#set(slot, entry, hash);
  }

  #set(slot: number, entry: Entry, hash: number): void {
    this.#entries[slot] = entry;
    this.#hashes[slot] = hash;
    entry.frontSlot = slot;
  }

  /** To be called for every entry that leaves the store. */
  drop(entry: Entry): void {
    const { frontSlot } = entry;
    if (frontSlot < 0) return;
    if (this.#entries[frontSlot] === entry) this.#entries[frontSlot] = undefined;
    if (this.#entries[frontSlot ^ 1] === entry) this.#entries[frontSlot ^ 1] = undefined;
  }
}

/** What, besides name and type, an entry is the answer to. */
function idOf(query: Query, blockId: number): number {
  return (blockId << 2) | query.variant;
}

function hashOf(query: Query, blockId: number): number {
  const { nameHash, type } = query.head;
  const mixed = Math.imul(nameHash ^ ((type << 18) | idOf(query, blockId)), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function slotOf(hash: number): number {
  return hash & (SLOTS - 1);
}

/**
 * Name and type are compared in the stored answer, whose question they are; one that is spelt there in capitals is not
 * found here.
 */
function isAskedBy(entry: Entry, query: Query, blockId: number): boolean {
  if (entry.frontId !== idOf(query, blockId)) return false;
  const { wire } = entry.answer;
  const { name, nameLength, type } = query.head;
  if (wire.length < HEADER_BYTES + nameLength + 4) return false;
  for (let i = 0; i < nameLength; i++) {
    if (wire[HEADER_BYTES + i] !== name[i]) return false;
  }
  return u16(wire, HEADER_BYTES + nameLength) === type;
}
