/**
 * Two caches, each with its own share of bytes, so that a flood of names that do not exist cannot evict answers
 * (docs/decisions/002-two-caches.md). Within a share the least recently used entry of any block is evicted first;
 * each block's list (`block-entries.ts`) enforces the block's capacity.
 */
import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Query } from '../../query/query.ts';
import type { Counter, Metrics } from '../../query/services/metrics.ts';
import type { BlockEntries } from './block-entries.ts';
import type { Entry } from './entry.ts';
import { HotIndex } from './hot-index.ts';

/** Share of all bytes that denials and stored failures may use. */
const DENIAL_SHARE = 0.2;
const SWEEP_INTERVAL_MS = 1_000;
/** A sweep checks all entries within about this many steps, but in each step at least and at most these numbers. */
const SWEEP_STEPS = 60;
const MIN_SWEEP = 256;
const MAX_SWEEP = 2_000;

/** Value of the label `store`. */
export type StoreName = 'answers' | 'denials';

/** One of the two caches, with its own limit in bytes. An entry larger than the limit is not stored. */
export class Partition {
  readonly #lru: LRUCache<string, Entry>;
  readonly #swept: Counter;
  /** Every block's list that ever had an entry here: as many as there are blocks. */
  readonly #blockLists = new Set<Entry['blockEntries']>();
  /** Entries stored so far. */
  stored = 0;
  /** Failures among the entries: usually none, so the lookup for one can be skipped. */
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

  /** As `get`, without counting as a use. */
  peek(key: string): Entry | undefined {
    return this.#lru.peek(key);
  }

  /** Stores `entry`, replacing any entry with its key. */
  put(entry: Entry, capacity: number): void {
    this.#lru.delete(entry.key);
    this.add(entry, capacity);
  }

  /** Stores `entry` under an unused key; a block at `capacity` loses one of its own entries. */
  add(entry: Entry, capacity: number): void {
    const { blockEntries } = entry;
    if (capacity <= 0 || entry.costBytes > this.#lru.maxSize) return;
    for (let over = blockEntries.count + 1 - capacity; over > 0; over--) {
      const victim = blockEntries.victim();
      if (victim === undefined) break;
      this.#lru.delete(victim.key);
      blockEntries.evictions.value++;
    }
    this.#blockLists.add(blockEntries);
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

  /** Removes some entries that are past any use. Bounded work per call; repeated calls reach every entry. */
  sweep(nowMs: number): void {
    const drop = (entry: Entry): void => {
      this.#swept.value++;
      this.#lru.delete(entry.key);
    };
    for (const blockEntries of this.#blockLists) {
      const steps = Math.ceil(blockEntries.count / SWEEP_STEPS);
      blockEntries.sweep(nowMs, Math.min(MAX_SWEEP, Math.max(MIN_SWEEP, steps)), drop);
    }
  }
}

/** One for the process. Keys begin with the number of their block, so blocks do not see each other's entries. */
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
      metrics.gauge('nodens_cache_limit_bytes', { store }).value = bytes;
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
   * As `find`, for a question as received. A frequent question is found without building its key; the store then
   * records its use only once a second, which is enough for LRU order.
   */
  findAsked(query: Query, blockId: number): Entry | undefined {
    // Options sent upstream are part of the key, and the hot index does not contain them.
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

  /** As `find`, without counting as a use. */
  peek(key: string): Entry | undefined {
    return this.answers.peek(key) ?? this.denials.peek(key);
  }

  /** The stored failure of a question. */
  failure(key: string): Entry | undefined {
    return this.denials.failures === 0 ? undefined : this.denials.get(failureKey(key));
  }

  /** Replaces `before`, which `peek` has just found: positive and negative answers exclude each other. */
  replace(before: Entry | undefined, entry: Entry, capacity: number): void {
    if (before !== undefined) this.remove(before);
    if (this.denials.failures > 0) this.denials.delete(failureKey(entry.key));
    this.#partitionOf(entry).add(entry, capacity);
  }

  #partitionOf({ kind }: Entry): Partition {
    return kind === 'positive' ? this.answers : this.denials;
  }

  /** Removes a question's answer, positive or negative. */
  forget(key: string): void {
    this.answers.delete(key);
    this.denials.delete(key);
  }

  /** Removes an entry of this store. */
  remove(entry: Entry): void {
    this.#partitionOf(entry).delete(entry.key);
  }

  /** Removes every entry of a block. */
  forgetBlock(lists: Iterable<BlockEntries<Entry>>): void {
    for (const list of lists) for (const entry of list.walk()) this.remove(entry);
  }

  /** Removes some entries that are past any use. A timer of the store calls it once a second. */
  sweep(nowMs: number): void {
    this.answers.sweep(nowMs);
    this.denials.sweep(nowMs);
  }

  /** Ends the timer and removes every entry. */
  close(): void {
    this.#timer.cancel();
    this.answers.clear();
    this.denials.clear();
  }
}

/**
 * A question's key ends in a name or in EDNS options, and neither can be followed by a single byte: no question has
 * this key.
 */
export function failureKey(key: string): string {
  return `${key}!`;
}
