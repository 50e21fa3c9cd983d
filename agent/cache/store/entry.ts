/** One stored answer: wire bytes and times only, nothing that depends on where it is stored. */
import type { Answer } from '../../query/answer.ts';
import type { BlockEntries } from './block-entries.ts';

/** `failure` is a stored SERVFAIL (RFC 9520) under a key of its own. */
export type EntryKind = 'positive' | 'negative' | 'failure';

/**
 * Memory of an entry besides its bytes and its key: Entry and Answer, and the store's links. Measured against resident
 * memory on Node 24 with 50,000 entries (test/unit/cache/store/accounting.test.ts).
 */
const ENTRY_OVERHEAD_BYTES = 440;

/** Fields of a new entry. Times are clock milliseconds, not Unix time. */
export interface EntryFields {
  readonly key: string;
  readonly kind: EntryKind;
  readonly answer: Answer;
  readonly blockEntries: BlockEntries<Entry>;
  /** Number of the configuration below `cache` that produced it: after a change the answer is only served as stale. */
  readonly configVersion: number;
  /** Clock time at which its TTL expires. */
  readonly expiresMs: number;
  /** Clock time after which it is useless even in an outage. */
  readonly dropAfterMs: number;
  /** Clock time from which a popular entry is refreshed; `expiresMs` without prefetch. */
  readonly refreshMs: number;
  /** Hits of the entry it replaces: popularity outlives a refresh. */
  readonly hits: number;
  readonly lastHitMs: number;
}

/** The answer and its times never change; hits, links and the recheck time do while it is stored. */
export class Entry {
  // A cache hit reads these fields; placed first, they are close together in memory.
  readonly answer: Answer;
  readonly configVersion: number;
  readonly expiresMs: number;
  readonly kind: EntryKind;
  /** Hit since the block last searched for an entry to evict. */
  wasHit = false;
  /** Slot in the hot index; -1 if it never had one. */
  hotSlot = -1;
  /** Second of the agent's clock in which the store last recorded a use. */
  usedSecond = -1;
  readonly key: string;
  readonly blockEntries: BlockEntries<Entry>;
  readonly dropAfterMs: number;
  readonly refreshMs: number;
  readonly costBytes: number;
  hits: number;
  lastHitMs: number;
  /** No refresh before this clock time: the last one failed. */
  recheckMs = 0;
  /** Served instead of denials until this clock time (last known good). */
  keptUntilMs = 0;
  /** The answer as served when stale; created on first use, shares the bytes. */
  stale: Answer | undefined = undefined;
  /** Neighbours in the block's list by age. */
  older: Entry | undefined = undefined;
  newer: Entry | undefined = undefined;

  constructor(fields: EntryFields) {
    this.key = fields.key;
    this.kind = fields.kind;
    this.answer = fields.answer;
    this.blockEntries = fields.blockEntries;
    this.configVersion = fields.configVersion;
    // Whole milliseconds are small integers for weeks: every fraction would be a heap object.
    this.expiresMs = Math.floor(fields.expiresMs);
    this.dropAfterMs = Math.floor(fields.dropAfterMs);
    this.refreshMs = Math.floor(fields.refreshMs);
    this.hits = fields.hits;
    this.lastHitMs = fields.lastHitMs;
    this.costBytes = costOf(fields.key, fields.answer);
  }

  /** False after the TTL, and after a change of the directives below `cache`. */
  isFresh(nowMs: number, configVersion: number): boolean {
    return nowMs < this.expiresMs && this.configVersion === configVersion;
  }
}

function costOf(key: string, answer: Answer): number {
  const { length, ttlOffsets, extended } = answer;
  const text = extended === undefined ? 0 : 2 * extended.text.length;
  return ENTRY_OVERHEAD_BYTES + length + 8 * ttlOffsets.length + key.length + text;
}
