/**
 * The entries of one block in one store, by age: counts them against the block's capacity and finds the one that makes
 * room, so that a block can only evict its own. Constant time per entry added, removed or evicted.
 */
import type { Counter } from '../../query/services/metrics.ts';

/** Entries that get a second chance before one is evicted whether it was asked for or not. */
const MAX_SECOND_CHANCES = 8;

/** What makes an entry one of a list by age. */
export interface Aged<T> {
  older: T | undefined;
  newer: T | undefined;
  /** Asked for since the last look for an entry that makes room. */
  wasHit: boolean;
  readonly dropAfterMs: number;
}

export class BlockEntries<T extends Aged<T>> {
  count = 0;
  /** Entries that made room for others, counted by whoever evicts. */
  readonly evictions: Counter;
  #oldest: T | undefined;
  #newest: T | undefined;
  /** Where the sweep goes on. */
  #cursor: T | undefined;
  /** Where a walk goes on. */
  #walker: T | undefined;

  constructor(evictions: Counter) {
    this.evictions = evictions;
  }

  add(entry: T): void {
    this.count++;
    this.#append(entry);
  }

  remove(entry: T): void {
    this.count--;
    this.#unlink(entry);
  }

  /** The oldest entry that nobody asked for lately (second chance, an approximation of LRU that costs a hit one write). */
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

  /** Looks at up to `budget` entries from where it stopped last; gives each useless one to `drop`, which removes it. */
  sweep(nowMs: number, budget: number, drop: (entry: T) => void): void {
    let entry = this.#cursor ?? this.#oldest;
    for (let left = Math.min(budget, this.count); left > 0 && entry !== undefined; left--) {
      const { newer } = entry;
      this.#cursor = newer;
      if (nowMs >= entry.dropAfterMs) drop(entry);
      entry = newer;
    }
  }

  /** The entries there are now, by age. Entries may come and go between two steps; one walk at a time. */
  *walk(): Generator<T> {
    this.#walker = this.#oldest;
    for (let left = this.count; left > 0 && this.#walker !== undefined; left--) {
      const entry: T = this.#walker;
      this.#walker = entry.newer;
      yield entry;
    }
    this.#walker = undefined;
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
    if (this.#walker === entry) this.#walker = newer;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}
