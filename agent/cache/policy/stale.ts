/**
 * Answers past their TTL, for when the upstream has none (RFC 8767). Only positive entries are ever served stale; an
 * expired negative entry is useless.
 */
import { EDE } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import type { ServeStaleOptions } from '../../query/services/cache.ts';
import type { Entry } from '../store/entry.ts';

/** Why no fresh answer was served; label of nodens_cache_stale_served_total. */
export type StaleReason = 'immediate' | 'budget' | 'recheck' | 'failure';

/** Without serve_stale: entries within their TTL still help in an outage, although a reload made them doubtful. */
export const AFTER_RELOAD: ServeStaleOptions = {
  windowMs: 0,
  mode: 'verify',
  budgetMs: 200,
  ttlSeconds: 30,
  recheckMs: 1_000,
};

const STALE = { code: EDE.STALE_ANSWER, text: '' };

/** Whether the entry may be served if nothing fresher is available. */
export function isUsable(entry: Entry, nowMs: number, { windowMs }: ServeStaleOptions): boolean {
  if (entry.kind !== 'positive') return false;
  return nowMs < entry.expiresMs + windowMs || nowMs < entry.keptUntilMs;
}

/** The entry's answer as served if nothing fresher is available; unchanged while its own TTL runs. */
export function lastGoodAnswer(entry: Entry, nowMs: number, options: ServeStaleOptions): Answer {
  if (nowMs < entry.expiresMs) return entry.answer;
  const { ttlSeconds } = options;
  if (entry.stale?.ttlOverrideSeconds !== ttlSeconds) {
    entry.stale = entry.answer.with({ ttlOverrideSeconds: ttlSeconds, extended: STALE });
  }
  return entry.stale as Answer;
}
