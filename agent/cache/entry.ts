/** One stored answer. Holds wire bytes and moments only, nothing that depends on where it is stored. */
import type { Answer } from '../query/answer.ts';
import type { Ledger } from './ledger.ts';

/** `failure` is memory of a SERVFAIL (RFC 9520); it has a key of its own. */
export type EntryKind = 'positive' | 'negative' | 'failure';

/**
 * What an entry costs besides its bytes and its key: Entry and Answer, the store's links, and the backing store of
 * `wire`. Measured against resident memory on Node 24 with 50,000 entries (test/unit/cache/accounting.test.ts).
 */
const ENTRY_OVERHEAD_BYTES = 900;

export interface EntryFields {
  readonly key: string;
  readonly kind: EntryKind;
  readonly answer: Answer;
  readonly ledger: Ledger;
  /** Which configuration below `cache` it came from: another one's answers are only good as stale ones. */
  readonly generation: number;
  /** Clock moment at which its TTL has run out. */
  readonly expiresMs: number;
  /** Clock moment after which it is no good even in an outage. */
  readonly uselessMs: number;
  /** Clock moment from which a popular entry is refreshed; Infinity without prefetch. */
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
  /** What the front table knows it by, and where it has it; -1 where it never had. */
  frontId = -1;
  frontSlot = -1;
  /** The second of our clock in which the store was last told of its use. */
  usedSecond = -1;
  readonly key: string;
  readonly ledger: Ledger;
  readonly uselessMs: number;
  readonly refreshMs: number;
  readonly costBytes: number;
  hits: number;
  lastHitMs: number;
  /** No refresh before this clock moment: the last one failed. */
  recheckMs = Number.NEGATIVE_INFINITY;
  /** Stands against denials until this clock moment (last known good). */
  keptUntilMs = Number.NEGATIVE_INFINITY;
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
    this.expiresMs = fields.expiresMs;
    this.uselessMs = fields.uselessMs;
    this.refreshMs = fields.refreshMs;
    this.hits = fields.hits;
    this.lastHitMs = fields.lastHitMs;
    this.costBytes = costOf(fields.key, fields.answer);
  }

  isFresh(nowMs: number, generation: number): boolean {
    return nowMs < this.expiresMs && this.generation === generation;
  }
}

function costOf(key: string, answer: Answer): number {
  const { wire, ttlOffsets, extended } = answer;
  const text = extended === undefined ? 0 : 2 * extended.text.length;
  return ENTRY_OVERHEAD_BYTES + wire.length + ttlOffsets.byteLength + key.length + text;
}
