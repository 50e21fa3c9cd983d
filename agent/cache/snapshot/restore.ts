/** Restores the entries of a snapshot, aged by the time since it was written. */
import type { Clock } from '../../base/clock.ts';
import { readRecords } from '../../dns/records.ts';
import { Answer, ttlOffsetsOf } from '../../query/answer.ts';
import { PLUGIN } from '../response-writer.ts';
import type { BlockEntries } from '../store/block-entries.ts';
import { Entry } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import { checkSnapshot, readSnapshot } from './reader.ts';
import type { SnapshotRecord } from './writer.ts';

/** Upper bound on use past the TTL, whatever a file contains. */
const MAX_WINDOW_MS = 7 * 86_400_000;

/** Target of a block's entries. */
export interface RestoreBlock {
  readonly id: number;
  readonly blockEntries: BlockEntries<Entry>;
  readonly capacity: number;
  /** Number of a fingerprint of the directives below the cache. */
  readonly configVersionOf: (fingerprint: string) => number;
}

/** `entries` does not count those that are past any use, of unknown blocks, or already stored. */
export interface Restored {
  readonly entries: number;
  /** Age of the snapshot; 0 if its time is in the future. */
  readonly ageMs: number;
}

/**
 * `find` returns the block of an identity, undefined if it no longer exists. Throws SnapshotError for an unusable file.
 */
export function restore(
  file: Buffer,
  store: Store,
  clock: Clock,
  find: (identity: string) => RestoreBlock | undefined,
): Restored {
  // A wall clock that was set back must not make entries younger.
  const passedMs = Math.max(0, clock.wallMs() - checkSnapshot(file));
  const nowMs = clock.nowMs();
  let entries = 0;
  let block: RestoreBlock | undefined;
  let numbers: readonly number[] = [];
  readSnapshot(file, {
    block(identity, fingerprints) {
      const found = find(identity);
      block = found;
      numbers = found === undefined ? [] : fingerprints.map((text) => found.configVersionOf(text));
    },
    entry(record) {
      if (block === undefined) return;
      const configVersion = numbers[record.configVersion] ?? -1;
      const entry = entryOf(record, block, configVersion, { nowMs, passedMs });
      // An answer from after the start is newer.
      if (entry === undefined || store.peek(entry.key) !== undefined) return;
      store.replace(undefined, entry, block.capacity);
      entries++;
    },
  });
  return { entries, ageMs: passedMs };
}

/** Undefined for an entry past any use. */
function entryOf(
  record: SnapshotRecord,
  { id, blockEntries }: RestoreBlock,
  configVersion: number,
  { nowMs, passedMs }: { readonly nowMs: number; readonly passedMs: number },
): Entry | undefined {
  const { rcode, extended, ageMs } = record;
  const records = readRecords(record.wire);
  if (records === undefined) return undefined;
  const ttlMs = Math.min(...records.map(({ ttlSeconds }) => ttlSeconds * 1_000));
  const expiresMs = nowMs + Math.min(record.expiresInMs - passedMs, ttlMs);
  const dropAfterMs = Math.min(nowMs + record.dropAfterInMs - passedMs, expiresMs + MAX_WINDOW_MS);
  // Also if a time is not a number.
  if (!(dropAfterMs > nowMs)) return undefined;
  const bornMs = ageMs === undefined ? undefined : nowMs - Math.max(0, ageMs) - passedMs;
  const wire = record.wire.latin1Slice(0, record.wire.length);
  const ttlOffsets = ttlOffsetsOf(records);
  return new Entry({
    key: String.fromCharCode(id >> 8, id & 0xff) + record.key,
    kind: 'positive',
    answer: new Answer({ wire, ttlOffsets, rcode, plugin: PLUGIN, bornMs, extended }),
    blockEntries,
    configVersion,
    expiresMs,
    dropAfterMs,
    refreshMs: expiresMs,
    hits: 0,
    lastHitMs: 0,
  });
}
