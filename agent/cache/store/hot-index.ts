/**
 * A small table before the store, for questions in the form clients send them. It hashes their bytes and compares them
 * word by word, so that a hit creates no string and moves no list entry. The store finds what is not in this table.
 */
import type { Query } from '../../query/query.ts';
import type { Entry } from './entry.ts';

/** A power of two. A question has two possible slots, which differ in their lowest bit. */
const SLOTS = 8_192;
/** A row: hash, type and length of the name, block and variant, and the name in words of four bytes. */
const NAME_AT = 3;
/** Longer names are not indexed: they would make every row longer. */
const MAX_NAME_WORDS = 29;
const ROW_WORDS = NAME_AT + MAX_NAME_WORDS;

/** One for the store, with 8,192 slots. Its entries are also in the store. */
export class HotIndex {
  readonly #entries: (Entry | undefined)[] = new Array<Entry | undefined>(SLOTS).fill(undefined);
  readonly #rows = new Int32Array(SLOTS * ROW_WORDS);

  /** The entry that answers `query` in the block, if it is indexed. */
  find(query: Query, blockId: number): Entry | undefined {
    const hash = hashOf(query, blockId);
    const slot = slotOf(hash);
    if (this.#isAt(slot, hash, query, blockId)) return this.#entries[slot];
    if (this.#isAt(slot ^ 1, hash, query, blockId)) return this.#entries[slot ^ 1];
    return undefined;
  }

  #isAt(slot: number, hash: number, query: Query, blockId: number): boolean {
    const rows = this.#rows;
    const row = slot * ROW_WORDS;
    if (rows[row] !== hash) return false;
    if (rows[row + 1] !== shapeOf(query) || rows[row + 2] !== idOf(query, blockId)) return false;
    const { nameWords, nameWordCount } = query.head;
    for (let i = 0; i < nameWordCount; i++) {
      if (rows[row + NAME_AT + i] !== nameWords[i]) return false;
    }
    return true;
  }

  /** Indexes an entry of the store; replaces the older of the two candidates. */
  put(entry: Entry, query: Query, blockId: number): void {
    const { nameWords, nameWordCount } = query.head;
    if (nameWordCount > MAX_NAME_WORDS) return;
    this.drop(entry);
    const rows = this.#rows;
    const hash = hashOf(query, blockId);
    const slot = slotOf(hash);
    const row = slot * ROW_WORDS;
    const previous = this.#entries[slot];
    if (previous !== undefined) {
      const beside = slot ^ 1;
      rows.copyWithin(beside * ROW_WORDS, row, row + ROW_WORDS);
      this.#entries[beside] = previous;
      previous.hotSlot = beside;
    }
    rows[row] = hash;
    rows[row + 1] = shapeOf(query);
    rows[row + 2] = idOf(query, blockId);
    for (let i = 0; i < nameWordCount; i++) rows[row + NAME_AT + i] = nameWords[i] as number;
    this.#entries[slot] = entry;
    entry.hotSlot = slot;
  }

  /** Must be called for every entry that leaves the store. */
  drop(entry: Entry): void {
    const { hotSlot } = entry;
    if (hotSlot >= 0 && this.#entries[hotSlot] === entry) this.#entries[hotSlot] = undefined;
    entry.hotSlot = -1;
  }
}

function shapeOf({ head }: Query): number {
  return (head.type << 8) | head.nameLength;
}

/** Everything besides name and type that an answer depends on. */
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
