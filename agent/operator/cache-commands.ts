/** `nodens cache`: looks at stored entries, and removes them with everything that could bring them back. */
import type { Clock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import type { PacedWork } from '../base/paced-work.ts';
import type { ProcessCache } from '../cache/cache.ts';
import {
  isCut,
  keyFields,
  keyTexts,
  kindOf,
  NAME_AT,
  type StoredEntry,
  stateOf,
  usableUntilMs,
} from '../cache/stored-entry.ts';
import { byteKey, lowerName, nameFromText } from '../dns/name.ts';
import { wireAt } from '../query/answer.ts';
import type { Logger } from '../query/services/log.ts';
import type { Counter } from '../query/services/metrics.ts';
import type { Output } from './connection.ts';
import type { CacheSelection, CacheStatsLine, EntryLine, FlushedLine } from './protocol.ts';

/** What the commands need of the process. */
export interface CacheCommandParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly work: PacedWork;
  readonly cache: Pick<ProcessCache, 'entries' | 'remove' | 'stats' | 'blockStats'>;
  readonly limitBytes: number;
  /** The server block with that number: zones, ports, addresses, view. */
  readonly blockName: (id: number) => string;
  /** Sums of the cache's counters. */
  readonly counters: () => Promise<Readonly<Record<string, number>>>;
  /** Writes the snapshot anew; undefined if the agent keeps none. */
  readonly rewriteSnapshot: (() => Promise<boolean>) | undefined;
  readonly flushed: Counter;
}

/** Commands take turns with metrics pages in the same queue of paced work. */
const PACE_KEY = 'admin socket';
/** Entries looked at in one turn, unless it takes too long before. */
const ENTRIES_PER_TURN = 256;
const ENTRIES_PER_LOOK = 16;
const TURN_MS = 0.3;

/** Sends one line for each entry that `select` names. */
export async function cacheGet(
  parts: CacheCommandParts,
  select: CacheSelection,
  out: Output,
): Promise<void> {
  const isWanted = selector(select, false);
  await eachEntry(parts, out, (stored) => {
    // A turn ends when `out` is full, so that each line is taken.
    if (isWanted(stored.entry.key)) out.offer(entryLine(parts, stored));
  });
}

/** Removes what `select` names: from memory, and from the snapshot. */
export async function cacheFlush(
  parts: CacheCommandParts,
  select: CacheSelection,
  out: Output,
): Promise<void> {
  const isWanted = selector(select, true);
  const counts = { answer: 0, denial: 0, failure: 0, cut: 0 };
  await eachEntry(parts, undefined, (stored) => {
    if (!isWanted(stored.entry.key)) return;
    parts.cache.remove(stored);
    counts[kindOf(stored.entry)]++;
  });
  const entries = counts.answer + counts.denial + counts.failure + counts.cut;
  parts.flushed.value += entries;
  const snapshot = await rewritten(parts);
  parts.log.info({ ...select, entries, snapshot }, 'cache flushed');
  const line: FlushedLine = {
    ...{ line: 'flushed', entries, snapshot },
    ...{ answers: counts.answer, denials: counts.denial },
    ...{ failures: counts.failure, cuts: counts.cut },
  };
  await out.write(line);
}

/** How much the cache holds, and what it counted since the start. */
export async function cacheStats(parts: CacheCommandParts): Promise<CacheStatsLine> {
  const { cache, limitBytes, blockName, counters } = parts;
  return {
    line: 'cache-stats',
    limitBytes,
    ...cache.stats(),
    counters: await counters(),
    blocks: cache
      .blockStats()
      .map(({ blockId, ...rest }) => ({ block: blockName(blockId), ...rest })),
  };
}

/** Even where nothing was removed: an older snapshot may have an entry that the cache has lost since. */
async function rewritten({ rewriteSnapshot }: CacheCommandParts): Promise<FlushedLine['snapshot']> {
  if (rewriteSnapshot === undefined) return 'none';
  return (await rewriteSnapshot()) ? 'written' : 'failed';
}

/**
 * Visits every entry, a few in each turn of paced work, and waits for the reader of `out` between turns. Ends early when
 * the command has gone.
 */
async function eachEntry(
  { cache, clock, work }: CacheCommandParts,
  out: Output | undefined,
  visit: (stored: StoredEntry) => void,
): Promise<void> {
  const entries = cache.entries();
  try {
    for (let isDone = false; !isDone && out?.isClosed !== true; ) {
      isDone = await work.run(PACE_KEY, () => turn(entries, clock, out, visit));
      await out?.room();
    }
  } finally {
    entries.return(undefined);
  }
}

/** Whether there are no more entries. A turn ends early when the command has to read first. */
function turn(
  entries: Generator<StoredEntry>,
  clock: Clock,
  out: Output | undefined,
  visit: (stored: StoredEntry) => void,
): boolean {
  const endMs = clock.nowMs() + TURN_MS;
  for (let count = 1; count <= ENTRIES_PER_TURN && out?.isFull !== true; count++) {
    const { value, done } = entries.next();
    if (done === true) return true;
    visit(value);
    if (count % ENTRIES_PER_LOOK === 0 && clock.nowMs() >= endMs) return false;
  }
  return false;
}

/**
 * Which keys `select` means. `withCauses`: also cuts above the name, which would deny it again at once. Throws
 * UsageError for a name that is none.
 */
export function selector(select: CacheSelection, withCauses: boolean): (key: string) => boolean {
  if ('all' in select) return () => true;
  if ('zone' in select) {
    const zone = wireKey(select.zone);
    return (key) => isBelow(key, zone);
  }
  const { type } = select;
  const name = wireKey(select.name);
  const above = withCauses ? namesAbove(name) : new Set<string>();
  return (key) => {
    if (isCut(key)) return key.startsWith(name, NAME_AT) || above.has(key.slice(NAME_AT));
    if (type !== undefined && typeIn(key) !== type) return false;
    return key.startsWith(name, NAME_AT);
  };
}

function wireKey(text: unknown): string {
  if (typeof text !== 'string') throw new UsageError('a name is missing');
  return byteKey(lowerName(nameFromText(text)));
}

function typeIn(key: string): number {
  return (key.charCodeAt(2) << 8) | key.charCodeAt(3);
}

/** Whether the name in the key is `zone` or below it: compares at the start of each label. */
function isBelow(key: string, zone: string): boolean {
  for (let at = NAME_AT; at < key.length; at += key.charCodeAt(at) + 1) {
    if (key.startsWith(zone, at)) return true;
    if (key.charCodeAt(at) === 0) return false;
  }
  return false;
}

/** Names above `name`, without the root. */
function namesAbove(name: string): Set<string> {
  const above = new Set<string>();
  for (let at = name.charCodeAt(0) + 1; at < name.length - 1; at += name.charCodeAt(at) + 1)
    above.add(name.slice(at));
  return above;
}

/** One entry as the command prints it. */
export function entryLine(
  { clock, blockName }: Pick<CacheCommandParts, 'clock' | 'blockName'>,
  stored: StoredEntry,
): EntryLine {
  const { entry, blockId } = stored;
  const nowMs = clock.nowMs();
  const { dnssecOk, checkingDisabled, hasOptions } = keyFields(entry);
  const { bornMs } = entry.answer;
  return {
    line: 'entry',
    block: blockName(blockId),
    ...keyTexts(entry),
    ...{ dnssecOk, checkingDisabled, hasOptions },
    kind: kindOf(entry),
    state: stateOf(stored, nowMs),
    ttlSeconds: seconds(entry.expiresMs - nowMs),
    usableSeconds: Math.max(0, seconds(usableUntilMs(entry) - nowMs)),
    ageSeconds: bornMs === undefined ? undefined : seconds(nowMs - bornMs),
    bytes: entry.costBytes,
    wire: wireAt(entry.answer, nowMs).toString('base64'),
  };
}

function seconds(durationMs: number): number {
  return Math.round(durationMs / 1_000);
}
