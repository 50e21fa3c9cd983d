/** Inputs made from other inputs, the same ones for the same seed. */

/** Numbers in [0, below), as mulberry32 makes them. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

/** Counts, lengths, label types and pointers at their edges. */
const OCTETS = [0, 1, 2, 3, 4, 0x0c, 0x10, 0x29, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
const MAX_STEPS = 6;
const MAX_PART = 64;
const STEPS = [flip, set, set16, insert, remove, repeat, graft, word] as const;

/** What an input may be changed with. */
export interface Stock {
  readonly corpus: readonly Buffer[];
  /** Pieces of the language of the input, where it has one. */
  readonly words: readonly Buffer[];
  readonly maxBytes: number;
}

/** One of the corpus, changed in a few places. */
export function mutated(chance: Chance, stock: Stock): Buffer {
  let bytes: Buffer = Buffer.from(chance.pick(stock.corpus));
  for (let left = 1 + chance.below(MAX_STEPS); left > 0; left--)
    bytes = chance.pick(STEPS)(bytes, chance, stock);
  return bytes.subarray(0, stock.maxBytes);
}

function flip(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length);
  if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ (1 << chance.below(8));
  return bytes;
}

function set(bytes: Buffer, chance: Chance): Buffer {
  const octet = chance.below(2) === 0 ? chance.pick(OCTETS) : chance.below(256);
  if (bytes.length > 0) bytes[chance.below(bytes.length)] = octet;
  return bytes;
}

function set16(bytes: Buffer, chance: Chance): Buffer {
  if (bytes.length < 2) return bytes;
  const near = [0, 1, 0x0c, bytes.length - 1, bytes.length, 0xc00c, 0xc000 + bytes.length, 0xffff];
  bytes.writeUInt16BE(chance.pick(near) & 0xffff, chance.below(bytes.length - 1));
  return bytes;
}

function insert(bytes: Buffer, chance: Chance): Buffer {
  const part = Buffer.alloc(1 + chance.below(MAX_PART), chance.below(256));
  return spliced(bytes, chance.below(bytes.length + 1), 0, part);
}

function remove(bytes: Buffer, chance: Chance): Buffer {
  const part = chance.below(Math.min(MAX_PART, bytes.length + 1));
  return spliced(bytes, chance.below(bytes.length + 1), part, Buffer.alloc(0));
}

function repeat(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length + 1);
  const part = Buffer.from(bytes.subarray(at, at + 1 + chance.below(MAX_PART)));
  return spliced(bytes, at, 0, part);
}

/** A part of another input, in place of some of this one. */
function graft(bytes: Buffer, chance: Chance, { corpus }: Stock): Buffer {
  const other = chance.pick(corpus);
  const from = chance.below(other.length + 1);
  const part = other.subarray(from, from + 1 + chance.below(other.length + 1 - from));
  return spliced(bytes, chance.below(bytes.length + 1), chance.below(part.length + 1), part);
}

function word(bytes: Buffer, chance: Chance, { words }: Stock): Buffer {
  if (words.length === 0) return flip(bytes, chance);
  return spliced(bytes, chance.below(bytes.length + 1), 0, chance.pick(words));
}

function spliced(bytes: Buffer, at: number, remove: number, part: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at + remove)]);
}
