/**
 * Two caches, each with a byte share of its own, so that a flood of names that do not exist cannot evict answers
 * (docs/decisions/002-two-caches.md). Within a share the least recently used entry goes first, of any block; a block's
 * capacity is kept by its blockEntries.
 */
import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Query } from '../../query/query.ts';
import type { Counter, Metrics } from '../../query/services/metrics.ts';
import type { BlockEntries } from './block-entries.ts';
import type { Entry } from './entry.ts';
import { HotIndex } from './hot-index.ts';

/** Partition of all bytes that denials and remembered failures may take. */
const DENIAL_SHARE = 0.2;
const SWEEP_INTERVAL_MS = 1_000;
/** A sweep passes over everything within about this many steps, but never looks at fewer or more than these. */
const SWEEP_STEPS = 60;
const MIN_SWEEP = 256;
const MAX_SWEEP = 2_000;

export type StoreName = 'answers' | 'denials';

export class Partition {
  readonly #lru: LRUCache<string, Entry>;
  readonly #swept: Counter;
  /** Every blockEntries that ever had an entry here: as many as there are blocks. */
  readonly #entriesByKind = new Set<Entry['blockEntries']>();
  /** Entries put in, ever. */
  stored = 0;
  /** Remembered failures among the entries: mostly none, and then nobody needs to look for one. */
  failures = 0;

  constructor(maxBytes: number, swept: Counter, hotIndex: HotIndex) {
    this.#swept = swept;
    this.#lru = new LRUCache<string, Entry>({
      maxSize: maxBytes,
      sizeCalculation: (entry) => entry.costBytes,
      dispose: (entry, _key, reason) => {
        hotIndex.drop(entry);
        if (entry.kind === 'failure') this.failures--;
        entry.blockEntries.remove(entry);
        if (reason === 'evict') entry.blockEntries.evictions.value++;
      },
    });
  }

  get bytes(): number {
    return this.#lru.calculatedSize;
  }
  get count(): number {
    return this.#lru.size;
  }

  /** The entry, marked as recently used. */
  get(key: string): Entry | undefined {
    return this.#lru.get(key);
  }

  peek(key: string): Entry | undefined {
    return this.#lru.peek(key);
  }

  /** Stores `entry` in the place of what has its key. */
  put(entry: Entry, capacity: number): void {
    this.#lru.delete(entry.key);
    this.add(entry, capacity);
  }

  /** Stores `entry`, whose key nothing has; the block keeps to `capacity` by losing one of its own. */
  add(entry: Entry, capacity: number): void {
    const { blockEntries } = entry;
    if (capacity <= 0 || entry.costBytes > this.#lru.maxSize) return;
    for (let over = blockEntries.count + 1 - capacity; over > 0; over--) {
      const victim = blockEntries.victim();
      if (victim === undefined) break;
      this.#lru.delete(victim.key);
      blockEntries.evictions.value++;
    }
    this.#entriesByKind.add(blockEntries);
    this.stored++;
    if (entry.kind === 'failure') this.failures++;
    blockEntries.add(entry);
    this.#lru.set(entry.key, entry);
  }

  delete(key: string): void {
    this.#lru.delete(key);
  }

  clear(): void {
    this.#lru.clear();
  }

  /** Removes some of the entries that are no good any more: bounded work, everything is passed over in time. */
  sweep(nowMs: number): void {
    const drop = (entry: Entry): void => {
      this.#swept.value++;
      this.#lru.delete(entry.key);
    };
    for (const blockEntries of this.#entriesByKind) {
      const steps = Math.ceil(blockEntries.count / SWEEP_STEPS);
      blockEntries.sweep(nowMs, Math.min(MAX_SWEEP, Math.max(MIN_SWEEP, steps)), drop);
    }
  }
}

export class Store {
  readonly answers: Partition;
  readonly denials: Partition;
  readonly #timer: Timer;
  readonly #hotIndex = new HotIndex();

  constructor(clock: Clock, metrics: Metrics, totalBytes: number) {
    const partition = (store: StoreName, bytes: number): Partition => {
      const swept = metrics.counter('nodens_cache_entries_swept_total', { store });
      const made = new Partition(bytes, swept, this.#hotIndex);
      metrics.gaugeFrom('nodens_cache_bytes', { store }, () => made.bytes);
      return made;
    };
    const denialBytes = Math.floor(totalBytes * DENIAL_SHARE);
    this.answers = partition('answers', totalBytes - denialBytes);
    this.denials = partition('denials', denialBytes);
    this.#timer = clock.every(SWEEP_INTERVAL_MS, () => this.sweep(clock.nowMs()));
  }

  /** The stored answer, positive or negative, whether fresh or not. */
  find(key: string): Entry | undefined {
    return this.answers.get(key) ?? this.denials.get(key);
  }

  /**
   * As `find`, for a question as it was received. What is asked for often is found without its key; the store is told
   * of the use once a second, which is what recency is counted in then.
   */
  findAsked(query: Query, blockId: number): Entry | undefined {
    // Options sent upstream are part of the key, which the hot index does not know.
    if (query.upstreamOptions !== undefined) return this.find(query.keyIn(blockId));
    const second = (query.arrivedMs / 1_000) | 0;
    const known = this.#hotIndex.find(query, blockId);
    if (known !== undefined && known.usedSecond === second) return known;
    const entry = this.find(known?.key ?? query.keyIn(blockId));
    if (entry === undefined) return undefined;
    entry.usedSecond = second;
    if (known === undefined) this.#hotIndex.put(entry, query, blockId);
    return entry;
  }

  /** As `find`, without counting as use. */
  peek(key: string): Entry | undefined {
    return this.answers.peek(key) ?? this.denials.peek(key);
  }

  /** The remembered failure of a question. */
  failure(key: string): Entry | undefined {
    return this.denials.failures === 0 ? undefined : this.denials.get(failureKey(key));
  }

  /** Puts an answer in the place of `before`, which `peek` has just found: only one of them can be true. */
  replace(before: Entry | undefined, entry: Entry, capacity: number): void {
    if (before !== undefined) this.#partitionOf(before).delete(before.key);
    if (this.denials.failures > 0) this.denials.delete(failureKey(entry.key));
    this.#partitionOf(entry).add(entry, capacity);
  }

  #partitionOf({ kind }: Entry): Partition {
    return kind === 'positive' ? this.answers : this.denials;
  }

  /** Forgets a question's answer, positive or negative. */
  forget(key: string): void {
    this.answers.delete(key);
    this.denials.delete(key);
  }

  /** Forgets every entry of a block. */
  forgetBlock(lists: Iterable<BlockEntries<Entry>>): void {
    for (const list of lists)
      for (const entry of list.walk()) this.#partitionOf(entry).delete(entry.key);
  }

  sweep(nowMs: number): void {
    this.answers.sweep(nowMs);
    this.denials.sweep(nowMs);
  }

  close(): void {
    this.#timer.cancel();
    this.answers.clear();
    this.denials.clear();
  }
}

/** A key ends in a name or in EDNS options, and neither is followed by a single octet: it is no question's key. */
export function failureKey(key: string): string {
  return `${key}!`;
}
