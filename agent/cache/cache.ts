/** The cache of the whole process: created once, outlives reloads; each block opens its view of it. */

import type { MemoryLedger } from '../base/clients/memory-ledger.ts';
import type { Clock } from '../base/clock.ts';
import { perServer } from '../query/per-server.ts';
import type { Query } from '../query/query.ts';
import type { BlockContext } from '../query/services/block.ts';
import type { BlockCache, Cache, CacheOptions } from '../query/services/cache.ts';
import type { Logger } from '../query/services/log.ts';
import type { Metrics } from '../query/services/metrics.ts';
import { countersFor, type SeriesType } from './counters.ts';
import { Lookup } from './lookup.ts';
import { cutKeys } from './nxdomain-cut.ts';
import { DenialBurstDetector } from './policy/denial-bursts.ts';
import { Ancestors } from './probe/ancestors.ts';
import { type EntriesByKind, ResponseWriter } from './response-writer.ts';
import { InflightQueries } from './single-flight.ts';
import { type RestoreBlock, type Restored, restore } from './snapshot/restore.ts';
import { encodeSnapshot, type SnapshotBlock, type SnapshotTotals } from './snapshot/writer.ts';
import { BlockEntries } from './store/block-entries.ts';
import type { Entry } from './store/entry.ts';
import { failureKey, Store } from './store/store.ts';
import type { StoredEntry } from './stored-entry.ts';

/** Services and limits of the process, which outlive every configuration. */
export interface CacheParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Maximum memory of all entries together, bytes. */
  readonly totalBytes: number;
  /** Uniform random number in [0, 1). */
  readonly random: () => number;
  /** Accounts for clients that wait for another client's query. */
  readonly ledger: MemoryLedger;
}

/** Counts at the moment of the call. Bytes include keys and an estimate of each entry's overhead. */
export interface CacheStats {
  readonly answers: number;
  readonly answerBytes: number;
  readonly denials: number;
  readonly denialBytes: number;
  /** Upstream queries in flight. */
  readonly inflightQueries: number;
}

/** What may answer one question: its answer or denial, a failure, the nearest cut. */
export interface StoredForQuestion {
  readonly answer: StoredEntry | undefined;
  readonly failure: StoredEntry | undefined;
  readonly cut: StoredEntry | undefined;
}

/** Entries of one block. */
export interface BlockStats {
  readonly blockId: number;
  readonly answers: number;
  readonly denials: number;
}

/** As the daemon sees the cache; plugins see only `Cache`. */
export interface ProcessCache extends Cache {
  /** Removes some entries that are past any use; runs once a second. */
  sweep(): void;
  stats(): CacheStats;
  /** Every entry, by block and age. Entries may come and go between two steps; an unfinished walk must be closed. */
  entries(): Generator<StoredEntry>;
  /** What is stored for a question in one block, without counting as a use. */
  peek(query: Query, blockId: number): StoredForQuestion;
  /** Removes an entry that `entries` has just given. */
  remove(stored: StoredEntry): void;
  /** Entries of each open block. */
  blockStats(): readonly BlockStats[];
  /** Good answers stored so far: if unchanged, no new snapshot is needed. */
  readonly stored: number;
  /**
   * The good answers of blocks that `identityOf` knows, encoded for a file, in chunks that take a moment each. A chunk
   * is valid until the next one is requested.
   */
  snapshot(identityOf: (id: number) => string | undefined): Generator<Buffer, SnapshotTotals>;
  /**
   * Adds the entries of a snapshot to open blocks. Throws SnapshotError, possibly after some entries have been added.
   */
  restore(file: Buffer, idOf: (identity: string) => number | undefined): Restored;
  /** Removes a block and its entries, because another block gets its identity. */
  forgetBlock(id: number): void;
  /** Ends the timers and removes every entry. */
  close(): void;
}

/** State of a block that outlives reloads. */
interface BlockMemory {
  readonly entriesByKind: EntriesByKind;
  readonly denialBursts: DenialBurstDetector;
  /** Fingerprints of the directives below `cache`, by configuration version. */
  readonly configVersions: string[];
  /** Maximum good answers, by the current configuration. */
  capacity: number;
  /** Number of the current configuration in `configVersions`. */
  configVersion: number;
}

/**
 * Starts timers, which `close` ends. Opening a block again keeps its entries; answers from before a change of the
 * directives below `cache` are served only as stale ones.
 */
export function createCache(parts: CacheParts): ProcessCache {
  const { clock, metrics, log, random } = parts;
  const store = new Store(clock, metrics, parts.totalBytes);
  const inflightQueries = new InflightQueries(clock, parts.ledger);
  const blocks = new Map<number, BlockMemory>();

  const open = (block: BlockContext, zonesLabel: string, options: CacheOptions): BlockCache => {
    const memory = blocks.get(block.id) ?? newMemory(parts, block, zonesLabel);
    blocks.set(block.id, memory);
    memory.capacity = options.success.capacity;
    showEntries(metrics, block, zonesLabel, memory.entriesByKind);
    const configVersion = configVersionOf(memory, block.belowCache);
    memory.configVersion = configVersion;
    const { entriesByKind, denialBursts } = memory;
    const ancestors = ancestorsFor(options.nxdomainProbe, clock);
    const shared = { store, clock, random, configVersion, options, ancestors };
    const responseWriter = new ResponseWriter({ ...shared, entriesByKind, denialBursts });
    const counters = perServer((server) =>
      countersFor(
        metrics,
        { server, zones: zonesLabel, view: block.view },
        options.lastKnownGood !== undefined,
      ),
    );
    for (const server of block.servers) counters(server);
    const { id: blockId } = block;
    const { ledger } = parts;
    return new Lookup({
      ...shared,
      ...{ blockId, inflightQueries, responseWriter, ledger, log, counters },
    });
  };

  return {
    open,
    sweep: () => store.sweep(clock.nowMs()),
    stats: () => ({
      answers: store.answers.count,
      answerBytes: store.answers.bytes,
      denials: store.denials.count,
      denialBytes: store.denials.bytes,
      inflightQueries: inflightQueries.count,
    }),
    entries: () => storedEntries(blocks),
    peek: (query, blockId) => peek(store, blocks.get(blockId), query, blockId),
    remove: ({ entry }) => store.remove(entry),
    blockStats: () => statsOf(blocks),
    get stored() {
      return store.answers.stored;
    },
    snapshot: (identityOf) =>
      encodeSnapshot(snapshotBlocks(blocks, identityOf), clock, parts.totalBytes),
    restore: (file, idOf) =>
      restore(file, store, clock, (identity) => restoreBlock(blocks, idOf(identity))),
    forgetBlock: (id) => {
      store.forgetBlock(Object.values(blocks.get(id)?.entriesByKind ?? {}));
      blocks.delete(id);
    },
    close: () => {
      store.close();
      inflightQueries.close();
    },
  };
}

/** Undefined without zones: nothing is remembered then. */
function ancestorsFor(zones: readonly Uint8Array[], clock: Clock): Ancestors | undefined {
  return zones.length > 0 ? new Ancestors(zones, clock) : undefined;
}

function newMemory(
  { metrics, clock, log }: CacheParts,
  block: BlockContext,
  zonesLabel: string,
): BlockMemory {
  // A block's listeners share its entries: an eviction is counted once, at the first listener.
  const server = block.servers[0]?.label ?? '';
  const labels = { server, zones: zonesLabel, view: block.view };
  const entries = (type: SeriesType): BlockEntries<Entry> =>
    new BlockEntries(metrics.counter('coredns_cache_evictions_total', { ...labels, type }));
  return {
    entriesByKind: { positive: entries('success'), negative: entries('denial') },
    denialBursts: new DenialBurstDetector(clock, log, zonesLabel),
    configVersions: [],
    capacity: 0,
    configVersion: 0,
  };
}

function showEntries(
  metrics: Metrics,
  block: BlockContext,
  zonesLabel: string,
  { positive, negative }: EntriesByKind,
): void {
  for (const { label } of block.servers) {
    const labels = { server: label, zones: zonesLabel, view: block.view };
    const show = (type: SeriesType, entries: BlockEntries<Entry>): void =>
      metrics.gaugeFrom('coredns_cache_entries', { ...labels, type }, () => entries.count);
    show('success', positive);
    show('denial', negative);
  }
}

/** Number of a configuration below `cache`: the same text has the same number after any reload. */
function configVersionOf({ configVersions }: BlockMemory, belowCache: string): number {
  const known = configVersions.indexOf(belowCache);
  return known >= 0 ? known : configVersions.push(belowCache) - 1;
}

function peek(
  store: Store,
  memory: BlockMemory | undefined,
  query: Query,
  blockId: number,
): StoredForQuestion {
  const stored = (entry: Entry | undefined): StoredEntry | undefined =>
    entry && { blockId, entry, isCurrent: entry.configVersion === memory?.configVersion };
  const key = query.keyIn(blockId);
  const cuts = cutKeys(key, query).slice(1);
  return {
    answer: stored(store.peek(key)),
    failure: stored(store.denials.peek(failureKey(key))),
    cut: stored(cuts.map((cut) => store.denials.peek(cut)).find((entry) => entry !== undefined)),
  };
}

function statsOf(blocks: ReadonlyMap<number, BlockMemory>): BlockStats[] {
  return Array.from(
    blocks,
    ([
      blockId,
      {
        entriesByKind: { positive, negative },
      },
    ]) => ({
      ...{ blockId, answers: positive.count, denials: negative.count },
    }),
  );
}

function* storedEntries(blocks: ReadonlyMap<number, BlockMemory>): Generator<StoredEntry> {
  // To the end: an entry that moves while others are looked at must not be missed.
  for (const [blockId, memory] of blocks)
    for (const list of Object.values(memory.entriesByKind))
      for (const entry of list.walk(Number.POSITIVE_INFINITY))
        yield { blockId, entry, isCurrent: entry.configVersion === memory.configVersion };
}

function* snapshotBlocks(
  blocks: ReadonlyMap<number, BlockMemory>,
  identityOf: (id: number) => string | undefined,
): Generator<SnapshotBlock> {
  for (const [id, { entriesByKind, configVersions }] of blocks) {
    const identity = identityOf(id);
    if (identity !== undefined)
      yield { identity, configVersions, entries: entriesByKind.positive.walk() };
  }
}

function restoreBlock(
  blocks: ReadonlyMap<number, BlockMemory>,
  id: number | undefined,
): RestoreBlock | undefined {
  const memory = id === undefined ? undefined : blocks.get(id);
  if (id === undefined || memory === undefined) return undefined;
  const { entriesByKind, capacity } = memory;
  const numberOf = (fingerprint: string): number => configVersionOf(memory, fingerprint);
  return { id, blockEntries: entriesByKind.positive, capacity, configVersionOf: numberOf };
}
