/** How long answers take, by where they come from: an average over hits and misses says nothing about either. */
import type { Answer } from '../query/answer.ts';
import type { Query } from '../query/query.ts';
import { type Served, servedAs } from '../query/served.ts';
import type { Histogram, Metrics } from '../query/services/metrics.ts';

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
  add(query: Query, answer: Answer): void {
    const served = servedAs(query, answer, false);
    if (served === 'hit') this.#pendingHits++;
    else if (served !== 'dropped')
      this.#pendingOthers.set(served, (this.#pendingOthers.get(served) ?? 0) + 1);
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
  waited(query: Query, answer: Answer, durationMs: number): void {
    const served = servedAs(query, answer, true);
    if (served !== 'dropped') this.#seriesOf(served).observe(durationMs / 1_000);
  }

  #seriesOf(served: Served): Histogram {
    const known = this.#series.get(served);
    if (known !== undefined) return known;
    const made = this.#metrics.histogram('nodens_answer_duration_seconds', { served });
    this.#series.set(served, made);
    return made;
  }
}
