/** One stored answer. Holds wire bytes and moments only, nothing that depends on where it is stored. */
import type { Answer } from '../../query/answer.ts';
import type { Ledger } from './block-entries.ts';

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
  readonly ledger: Ledger<Entry>;
  /** Which configuration below `cache` it came from: another one's answers are only good as stale ones. */
  readonly generation: number;
  /** Clock moment at which its TTL has run out. */
  readonly expiresMs: number;
  /** Clock moment after which it is no good even in an outage. */
  readonly uselessMs: number;
  /** Clock moment from which a popular entry is refreshed; `expiresMs` without prefetch. */
  readonly refreshMs: number;
  /** Hits of the entry it replaces: popularity outlives a refresh. */
  readonly hits: number;
  readonly lastHitMs: number;
}

export class Entry {
  // What a hit looks at comes first and so lies together in memory.
  readonly answer: Answer;
  readonly generation: number;
  readonly expiresMs: number;
  readonly kind: EntryKind;
  /** Asked for since the ledger last looked for something to evict. */
  wasHit = false;
  /** Where the front table has it; -1 where it never had. */
  frontSlot = -1;
  /** The second of our clock in which the store was last told of its use. */
  usedSecond = -1;
  readonly key: string;
  readonly ledger: Ledger<Entry>;
  readonly uselessMs: number;
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
  /** Neighbours in the ledger, by age. */
  older: Entry | undefined = undefined;
  newer: Entry | undefined = undefined;

  constructor(fields: EntryFields) {
    this.key = fields.key;
    this.kind = fields.kind;
    this.answer = fields.answer;
    this.ledger = fields.ledger;
    this.generation = fields.generation;
    // Whole milliseconds are small integers for weeks: each fraction would be an object of its own.
    this.expiresMs = Math.floor(fields.expiresMs);
    this.uselessMs = Math.floor(fields.uselessMs);
    this.refreshMs = Math.floor(fields.refreshMs);
    this.hits = fields.hits;
    this.lastHitMs = fields.lastHitMs;
    this.costBytes = costOf(fields.key, fields.answer);
  }

  isFresh(nowMs: number, generation: number): boolean {
    return nowMs < this.expiresMs && this.generation === generation;
  }
}

function costOf(key: string, answer: Answer): number {
  const { length, ttlOffsets, extended } = answer;
  const text = extended === undefined ? 0 : 2 * extended.text.length;
  return ENTRY_OVERHEAD_BYTES + length + 8 * ttlOffsets.length + key.length + text;
}
