/** How long answers take, by where they come from: an average over hits and misses says nothing about either. */
import { RCODE } from '../dns/iana.ts';
import type { Answer } from '../query/answer.ts';
import type { Histogram, Metrics } from '../query/services/metrics.ts';

/**
 * Label `served` of nodens_answer_duration_seconds. `miss`: the client waited for an upstream, or for another client's
 * query to one. `local`: a plugin made the answer itself. `failure`: SERVFAIL, whatever its source.
 */
export type Served = 'hit' | 'stale' | 'miss' | 'local' | 'failure';

/** Plugin name in answers of the cache. */
const CACHE = 'cache';

/** Where an answer comes from. Stale answers are the only ones whose TTL is overridden. */
export function servedAs(answer: Answer, hasWaited: boolean): Served {
  if (answer.rcode === RCODE.SERVFAIL) return 'failure';
  if (answer.ttlOverrideSeconds !== undefined) return 'stale';
  if (hasWaited) return 'miss';
  return answer.plugin === CACHE ? 'hit' : 'local';
}

/** One for the process, as its series. Answers that are sent together have one duration and are counted together. */
export class AnswerDurations {
  readonly #metrics: Metrics;
  /** Made at first use: a page has no series of what never happens. */
  readonly #series = new Map<Served, Histogram>();
  #pendingHits = 0;
  readonly #pendingOthers = new Map<Served, number>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** Counts an answer that is sent with others; `flush` gives them their duration. */
  add(answer: Answer): void {
    const served = servedAs(answer, false);
    if (served === 'hit') this.#pendingHits++;
    else this.#pendingOthers.set(served, (this.#pendingOthers.get(served) ?? 0) + 1);
  }

  /** The answers added since the last call took `durationMs` each. */
  flush(durationMs: number): void {
    if (this.#pendingHits > 0) this.#seriesOf('hit').observe(durationMs / 1_000, this.#pendingHits);
    this.#pendingHits = 0;
    if (this.#pendingOthers.size === 0) return;
    for (const [served, count] of this.#pendingOthers)
      this.#seriesOf(served).observe(durationMs / 1_000, count);
    this.#pendingOthers.clear();
  }

  /** Counts an answer that was not there at once. */
  waited(answer: Answer, durationMs: number): void {
    this.#seriesOf(servedAs(answer, true)).observe(durationMs / 1_000);
  }

  #seriesOf(served: Served): Histogram {
    const known = this.#series.get(served);
    if (known !== undefined) return known;
    const made = this.#metrics.histogram('nodens_answer_duration_seconds', { served });
    this.#series.set(served, made);
    return made;
  }
}
