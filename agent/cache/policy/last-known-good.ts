/**
 * Serves good answers instead of denials when many names are denied at once (`last_known_good`). Never for cluster
 * domains.
 */
import type { Clock } from '../../base/clock.ts';
import { byteKey, isSubdomain } from '../../dns/name.ts';
import type { Answer } from '../../query/answer.ts';
import type { Query } from '../../query/query.ts';
import type { CacheOptions, ServeStaleOptions } from '../../query/services/cache.ts';
import type { Counters } from '../counters.ts';
import type { Entry } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import type { DenialBurstDetector, DenialReason } from './denial-bursts.ts';
import { lastGoodAnswer } from './stale.ts';

/** `denialBursts` belongs to the block and outlives a reload; `options` and `stale` do not. */
export interface LastKnownGoodParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly denialBursts: DenialBurstDetector;
  readonly options: CacheOptions;
  readonly stale: ServeStaleOptions;
}

/** Without `last_known_good` in the Corefile, every denial is believed. */
export class LastKnownGood {
  readonly #parts: LastKnownGoodParts;
  readonly #windowMs: number;

  constructor(parts: LastKnownGoodParts) {
    this.#parts = parts;
    this.#windowMs = parts.options.lastKnownGood?.windowMs ?? 0;
  }

  /** How long past its TTL a good answer for `query` may be served instead of a denial, milliseconds. */
  windowMs({ name }: Query): number {
    const { lastKnownGood, cluster } = this.#parts.options;
    const isBelow = (zone: Uint8Array): boolean => isSubdomain(name, zone);
    const isCovered = lastKnownGood?.zones.some(isBelow) && !cluster.domains.some(isBelow);
    return isCovered === true ? this.#windowMs : 0;
  }

  /** The query's name has a good answer again. */
  answered(query: Query): void {
    if (this.#windowMs > 0) this.#parts.denialBursts.answered(byteKey(query.name));
  }

  /** The answer to serve instead of a denial; undefined if the denial is believed. */
  against(query: Query, key: string, reason: DenialReason, count: Counters): Answer | undefined {
    const { store, clock, denialBursts, stale } = this.#parts;
    const entry = store.peek(key);
    if (entry?.kind !== 'positive') return undefined;
    const nowMs = clock.nowMs();
    const windowMs = this.windowMs(query);
    if (windowMs === 0 || nowMs >= entry.expiresMs + windowMs) return undefined;
    const held = denialBursts.turned(byteKey(query.name), entry);
    if (held === undefined) return undefined;
    for (const before of held) this.#putBack(before, nowMs);
    entry.keptUntilMs = entry.expiresMs + windowMs;
    entry.recheckMs = Math.ceil(nowMs + stale.recheckMs);
    count.lastKnownGood[reason].value++;
    return lastGoodAnswer(entry, nowMs, stale);
  }

  /** Reverts a denial that was believed, unless a better answer has arrived since. */
  #putBack(before: Entry, nowMs: number): void {
    const { store, options } = this.#parts;
    const untilMs = before.expiresMs + this.#windowMs;
    const known = store.peek(before.key);
    if (nowMs >= untilMs || known?.kind === 'positive') return;
    before.keptUntilMs = untilMs;
    store.replace(known, before, options.success.capacity);
  }
}
