/**
 * The entries of one block in one store, by age. Counts them against the block's capacity and selects the one to evict,
 * so that a block can only evict its own. Constant time per entry added, removed or evicted.
 */
import type { Counter } from '../../query/services/metrics.ts';

/** Maximum entries that get a second chance; the next one is evicted even if it was hit. */
const MAX_SECOND_CHANCES = 8;

/** Links of an entry in a list by age. */
export interface Aged<T> {
  older: T | undefined;
  newer: T | undefined;
  /** Hit since the last search for an entry to evict. */
  wasHit: boolean;
  readonly dropAfterMs: number;
}

/** One for each block and partition. The links are in the entries, so an entry can be in only one list. */
export class BlockEntries<T extends Aged<T>> {
  count = 0;
  /** Evicted entries, counted by the caller that evicts. */
  readonly evictions: Counter;
  #oldest: T | undefined;
  #newest: T | undefined;
  /** Where the next sweep continues. */
  #cursor: T | undefined;
  /** Where each walk under way continues. */
  readonly #walks = new Set<{ next: T | undefined }>();

  constructor(evictions: Counter) {
    this.evictions = evictions;
  }

  add(entry: T): void {
    this.count++;
    this.#append(entry);
  }

  /** `entry` must be in this list, which is not checked. */
  remove(entry: T): void {
    this.count--;
    this.#unlink(entry);
  }

  /** The oldest entry without a recent hit (second chance, an approximation of LRU that costs a hit one write). */
  victim(): T | undefined {
    for (let chances = MAX_SECOND_CHANCES; chances > 0; chances--) {
      const entry = this.#oldest;
      if (entry === undefined || !entry.wasHit) return entry;
      entry.wasHit = false;
      this.#unlink(entry);
      this.#append(entry);
    }
    return this.#oldest;
  }

  /**
   * Checks up to `budget` entries from where it last stopped; calls `drop`, which removes the entry, for each useless
   * one.
   */
  sweep(nowMs: number, budget: number, drop: (entry: T) => void): void {
    let entry = this.#cursor ?? this.#oldest;
    for (let left = Math.min(budget, this.count); left > 0 && entry !== undefined; left--) {
      const { newer } = entry;
      this.#cursor = newer;
      if (nowMs >= entry.dropAfterMs) drop(entry);
      entry = newer;
    }
  }

  /**
   * The entries by age, at most `max` of them. Entries may be added or removed between two steps. A walk that is not
   * finished must be closed (`return`), as `for … of` does.
   */
  *walk(max = this.count): Generator<T> {
    const walk = { next: this.#oldest };
    this.#walks.add(walk);
    try {
      for (let left = max; left > 0 && walk.next !== undefined; left--) {
        const entry: T = walk.next;
        walk.next = entry.newer;
        yield entry;
      }
    } finally {
      this.#walks.delete(walk);
    }
  }

  #append(entry: T): void {
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: T): void {
    const { older, newer } = entry;
    if (this.#cursor === entry) this.#cursor = newer;
    if (this.#walks.size > 0) this.#passBy(entry);
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }

  /** No walk stands on an entry that leaves the list. */
  #passBy(entry: T): void {
    for (const walk of this.#walks) if (walk.next === entry) walk.next = entry.newer;
  }
}
