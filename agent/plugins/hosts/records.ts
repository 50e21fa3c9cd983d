/**
 * Names and addresses of hosts files as bytes in an arena. An address record is followed by the names of its line (a
 * group). Each record begins with a word whose two highest bits are its kind:
 *
 * - name: 14 bits of distance to its address; the name in wire form, lower case;
 * - name that the table has already: the same, with the offset of the previous record, 4 bytes, before the name;
 * - IPv4 or IPv6 address: 4 or 16 bytes. If the lowest bit of the word is set, an earlier group has the same address:
 *   its offset, 4 bytes, and the bytes of PTR records up to the end of this group, 2, follow.
 */
import { MAX_NAME_BYTES } from '../../dns/name.ts';
import { Arena, type Room } from './arena.ts';
import { hashOf, type Keys } from './offset-index.ts';

const KIND = { name: 0, again: 1, v4: 2, v6: 3 } as const;
const KIND_SHIFT = 14;
const LOW_MASK = (1 << KIND_SHIFT) - 1;
const LINK_BYTES = 6;
/** A segment has room for this much, so that a name is in the same segment as its address. */
const LARGEST_BYTES = 2 + 16 + LINK_BYTES + 2 + 4 + MAX_NAME_BYTES;
/** Maximum bytes of the records of one owner, so that every answer fits into a message. */
export const MAX_RECORDS_BYTES = 60_000;
/** Bytes of a record whose owner is a pointer, without RDATA (RFC 1035 §3.2.1). */
export const RECORD_FIXED_BYTES = 12;
/** More bytes of PTR records than one answer can contain. */
const TOO_MANY = 0xffff;

/** Length in bytes of the data after a name's first word. */
export function nameLength(segment: Uint8Array, start: number): number {
  let at = start;
  for (let length = segment[at] ?? 0; length !== 0; length = segment[at] ?? 0) at += length + 1;
  return at + 1 - start;
}

/** Writes and reads records by offset; 0 means none. */
export class Records {
  readonly #arena: Arena;
  /** Keys of `OffsetIndex`: names of name records. */
  readonly names: Keys = {
    isAt: (offset, key, length) => this.#isName(offset, key, length),
    hashAt: (offset) => this.#hashName(offset),
  };
  /** Addresses of groups. */
  readonly addresses: Keys = {
    isAt: (offset, key, length) => this.isAddress(offset, key, length),
    hashAt: (offset) => this.#hashAddress(offset),
  };

  constructor(room: Room) {
    this.#arena = new Arena(room);
  }

  // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a name of any length may be added to the last group, `group`. */
  canFollow(group: number): boolean {
    return (
      this.#arena.hasRoom(LARGEST_BYTES) && this.#arena.next - group <= LOW_MASK - LARGEST_BYTES
    );
  }

  /**
   * Begins a group; `before` is the previous group of the same address, or 0. `hintBytes`: expected size of the rest.
   * Throws NoRoomError.
   */
  addGroup(address: Uint8Array, length: number, before: number, hintBytes: number): number {
    // The first name must fit into the same segment.
    this.#arena.ensure(LARGEST_BYTES, hintBytes);
    const offset = this.#arena.add(2 + length + (before === 0 ? 0 : LINK_BYTES));
    const segment = this.#arena.segment(offset);
    const at = offset & Arena.MASK;
    const kind = length === 4 ? KIND.v4 : KIND.v6;
    putWord(segment, at, (kind << KIND_SHIFT) | (before === 0 ? 0 : 1));
    for (let i = 0; i < length; i++) segment[at + 2 + i] = address[i] as number;
    if (before !== 0) putOffset(segment, at + 2 + length, before);
    return offset;
  }

  /** Adds a name to the last group, `group`; `before` is the previous record of the same name, or 0. */
  addName(name: Uint8Array, length: number, group: number, before: number): number {
    const head = before === 0 ? 2 : 6;
    const offset = this.#arena.add(head + length);
    const segment = this.#arena.segment(offset);
    const at = offset & Arena.MASK;
    putWord(
      segment,
      at,
      ((before === 0 ? KIND.name : KIND.again) << KIND_SHIFT) | (offset - group),
    );
    if (before !== 0) putOffset(segment, at + 2, before);
    for (let i = 0; i < length; i++) segment[at + head + i] = name[i] as number;
    return offset;
  }

  /** Stores the bytes of PTR records of one address's groups up to and including this linked one. */
  setPtrBytes(group: number, bytes: number): void {
    const segment = this.#arena.segment(group);
    const at = group & Arena.MASK;
    if (isLinked(segment, at))
      putWord(segment, at + 2 + addressLength(segment, at) + 4, Math.min(bytes, TOO_MANY));
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The previous record of the name at `offset`; 0 if there is none. */
  nameBefore(offset: number): number {
    const segment = this.#arena.segment(offset);
    const at = offset & Arena.MASK;
    return kindAt(segment, at) === KIND.again ? offsetAt(segment, at + 2) : 0;
  }

  /** The group of the name record at `offset`. */
  groupOf(offset: number): number {
    return offset - (wordAt(this.#arena.segment(offset), offset & Arena.MASK) & LOW_MASK);
  }

  /** The previous group with the address of `group`; 0 if there is none. */
  groupBefore(group: number): number {
    const segment = this.#arena.segment(group);
    const at = group & Arena.MASK;
    return isLinked(segment, at) ? offsetAt(segment, at + 2 + addressLength(segment, at)) : 0;
  }

  /** Bytes of the PTR records of one address up to and including `group`. */
  ptrBytes(group: number): number {
    const segment = this.#arena.segment(group);
    const at = group & Arena.MASK;
    if (isLinked(segment, at)) return wordAt(segment, at + 2 + addressLength(segment, at) + 4);
    let bytes = 0;
    this.eachName(group, (start, end) => {
      bytes += RECORD_FIXED_BYTES + end - start;
    });
    return bytes;
  }

  /** 4 or 16 bytes; a view that must not be kept. */
  address(group: number): Uint8Array {
    const segment = this.#arena.segment(group);
    const at = group & Arena.MASK;
    return segment.subarray(at + 2, at + 2 + addressLength(segment, at));
  }

  addressLength(group: number): number {
    return addressLength(this.#arena.segment(group), group & Arena.MASK);
  }

  isAddress(group: number, address: Uint8Array, length: number): boolean {
    const segment = this.#arena.segment(group);
    const at = group & Arena.MASK;
    if (addressLength(segment, at) !== length) return false;
    for (let i = 0; i < length; i++) if (segment[at + 2 + i] !== address[i]) return false;
    return true;
  }

  /** Calls `visit` with the position of each name of a group in the segment (third argument); not for `*.` names. */
  eachName(group: number, visit: (start: number, end: number, segment: Uint8Array) => void): void {
    const segment = this.#arena.segment(group);
    let at = group & Arena.MASK;
    at += 2 + addressLength(segment, at) + (isLinked(segment, at) ? LINK_BYTES : 0);
    for (;;) {
      const word = wordAt(segment, at);
      // After the last record there are zeros, or the segment ends.
      if (word === 0 || word >>> KIND_SHIFT > KIND.again) return;
      const start = at + (word >>> KIND_SHIFT === KIND.again ? 6 : 2);
      const end = start + nameLength(segment, start);
      if (!isWildcard(segment, start)) visit(start, end, segment);
      at = end;
    }
  }

  free(): Generator<void> {
    return this.#arena.free();
  }

  #nameStart(segment: Uint8Array, offset: number): number {
    const at = offset & Arena.MASK;
    return at + (kindAt(segment, at) === KIND.again ? 6 : 2);
  }

  #isName(offset: number, name: Uint8Array, length: number): boolean {
    const segment = this.#arena.segment(offset);
    const start = this.#nameStart(segment, offset);
    for (let i = 0; i < length; i++) if (segment[start + i] !== name[i]) return false;
    return true;
  }

  #hashName(offset: number): number {
    const segment = this.#arena.segment(offset);
    const start = this.#nameStart(segment, offset);
    return hashOf(segment, start, start + nameLength(segment, start));
  }

  #hashAddress(group: number): number {
    const segment = this.#arena.segment(group);
    const at = group & Arena.MASK;
    return hashOf(segment, at + 2, at + 2 + addressLength(segment, at));
  }
}

/** Whether the wire name at `start` begins with the label `*`. */
export function isWildcard(bytes: Uint8Array, start: number): boolean {
  return bytes[start] === 1 && bytes[start + 1] === 0x2a;
}

function putWord(segment: Uint8Array, at: number, word: number): void {
  segment[at] = word >>> 8;
  segment[at + 1] = word & 0xff;
}

function putOffset(segment: Uint8Array, at: number, offset: number): void {
  putWord(segment, at, offset >>> 16);
  putWord(segment, at + 2, offset & 0xffff);
}

function wordAt(segment: Uint8Array, at: number): number {
  return ((segment[at] ?? 0) << 8) | (segment[at + 1] ?? 0);
}

function offsetAt(segment: Uint8Array, at: number): number {
  return wordAt(segment, at) * 0x10000 + wordAt(segment, at + 2);
}

function kindAt(segment: Uint8Array, at: number): number {
  return wordAt(segment, at) >>> KIND_SHIFT;
}

function isLinked(segment: Uint8Array, at: number): boolean {
  return (wordAt(segment, at) & 1) === 1;
}

function addressLength(segment: Uint8Array, at: number): number {
  return kindAt(segment, at) === KIND.v4 ? 4 : 16;
}
