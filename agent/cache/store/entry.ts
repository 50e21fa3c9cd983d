/** One stored answer. Holds wire bytes and moments only, nothing that depends on where it is stored. */
import type { Answer } from '../../query/answer.ts';
import type { BlockEntries } from './block-entries.ts';

/** `failure` is memory of a SERVFAIL (RFC 9520); it has a key of its own. */
export type EntryKind = 'positive' | 'negative' | 'failure';

/**
 * What an entry costs besides its octets and its key: Entry and Answer, and the store's links. Measured against
 * resident memory on Node 24 with 50,000 entries (test/unit/cache/store/accounting.test.ts).
 */
const ENTRY_OVERHEAD_BYTES = 440;

export interface EntryFields {
  readonly key: string;
  readonly kind: EntryKind;
  readonly answer: Answer;
  readonly blockEntries: BlockEntries<Entry>;
  /** Which configuration below `cache` it came from: another one's answers are only good as stale ones. */
  readonly configVersion: number;
  /** Clock moment at which its TTL has run out. */
  readonly expiresMs: number;
  /** Clock moment after which it is no good even in an outage. */
  readonly dropAfterMs: number;
  /** Clock moment from which a popular entry is refreshed; `expiresMs` without prefetch. */
  readonly refreshMs: number;
  /** Hits of the entry it replaces: popularity outlives a refresh. */
  readonly hits: number;
  readonly lastHitMs: number;
}

export class Entry {
  // What a hit looks at comes first and so lies together in memory.
  readonly answer: Answer;
  readonly configVersion: number;
  readonly expiresMs: number;
  readonly kind: EntryKind;
  /** Asked for since the blockEntries last looked for something to evict. */
  wasHit = false;
  /** Where the hotIndex table has it; -1 where it never had. */
  hotSlot = -1;
  /** The second of our clock in which the store was last told of its use. */
  usedSecond = -1;
  readonly key: string;
  readonly blockEntries: BlockEntries<Entry>;
  readonly dropAfterMs: number;
  readonly refreshMs: number;
  readonly costBytes: number;
  hits: number;
  lastHitMs: number;
  /** No refresh before this clock moment: the last one failed. */
  recheckMs = 0;
  /** Stands against denials until this clock moment (last known good). */
  keptUntilMs = 0;
  /** The answer as it is given out when stale; made on first use, shares the bytes. */
  stale: Answer | undefined = undefined;
  /** Neighbours in the blockEntries, by age. */
  older: Entry | undefined = undefined;
  newer: Entry | undefined = undefined;

  constructor(fields: EntryFields) {
    this.key = fields.key;
    this.kind = fields.kind;
    this.answer = fields.answer;
    this.blockEntries = fields.blockEntries;
    this.configVersion = fields.configVersion;
    // Whole milliseconds are small integers for weeks: each fraction would be an object of its own.
    this.expiresMs = Math.floor(fields.expiresMs);
    this.dropAfterMs = Math.floor(fields.dropAfterMs);
    this.refreshMs = Math.floor(fields.refreshMs);
    this.hits = fields.hits;
    this.lastHitMs = fields.lastHitMs;
    this.costBytes = costOf(fields.key, fields.answer);
  }

  isFresh(nowMs: number, configVersion: number): boolean {
    return nowMs < this.expiresMs && this.configVersion === configVersion;
  }
}

function costOf(key: string, answer: Answer): number {
  const { length, ttlOffsets, extended } = answer;
  const text = extended === undefined ? 0 : 2 * extended.text.length;
  return ENTRY_OVERHEAD_BYTES + length + 8 * ttlOffsets.length + key.length + text;
}
