/** The last hour as one sample a minute: what the charts of the status page show. Nothing is done for a query. */
import type { Clock, Timer } from '../../base/clock.ts';
import type { StatusLine } from '../protocol.ts';
import type { Buckets } from '../series-sums.ts';
import type { AnswerTimes, Status } from '../status.ts';

const MINUTE_MS = 60_000;
/** Intervals shown. */
export const SHOWN_MINUTES = 60;

/** Counts of queries since the start, or a second, and memory. */
interface Figures {
  readonly queries: number;
  readonly hits: number;
  readonly misses: number;
  readonly stale: number;
  readonly failures: number;
  readonly cacheBytes: number;
  readonly residentBytes: number;
}

/** Counters at one moment. */
export interface Moment extends Figures {
  readonly atMs: number;
  readonly times: AnswerTimes;
}

/** Rates and levels of the time between two moments; undefined where there was no answer to measure. */
export interface Interval extends Figures {
  readonly hitP50Ms: number | undefined;
  readonly hitP99Ms: number | undefined;
  readonly missP50Ms: number | undefined;
  readonly missP99Ms: number | undefined;
}

/** Takes samples from `start` to `stop`. */
export class Minutes {
  readonly #clock: Clock;
  readonly #status: Status;
  readonly #moments: Moment[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, status: Status) {
    this.#clock = clock;
    this.#status = status;
  }

  /** Idempotent. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#clock.every(MINUTE_MS, () => void this.#sample());
    void this.#sample();
  }

  /** Forgets the samples: after a pause a rate over it would be taken for one of a minute. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#moments.length = 0;
  }

  /** The last hour, oldest first. The last one may be shorter than a minute: it ends at `now`. */
  intervals(now: Moment): readonly Interval[] {
    const all = [...this.#moments, now];
    return all.slice(1).map((moment, index) => between(all[index] as Moment, moment));
  }

  /** The newest sample that is at least `ageMs` old, else the oldest one; undefined without any. */
  before(ageMs: number): Moment | undefined {
    const nowMs = this.#clock.nowMs();
    return this.#moments.findLast(({ atMs }) => nowMs - atMs >= ageMs) ?? this.#moments[0];
  }

  /** The counters in `line`, which is of now. */
  moment(line: StatusLine): Moment {
    const { queries, hits, misses, stale, failures, residentBytes } = line;
    return {
      ...{ queries, hits, misses, stale, failures, residentBytes },
      atMs: this.#clock.nowMs(),
      cacheBytes: line.cache.bytes,
      times: this.#status.answerTimes(),
    };
  }

  async #sample(): Promise<void> {
    const line = await this.#status.line();
    if (this.#timer === undefined) return;
    this.#moments.push(this.moment(line));
    if (this.#moments.length > SHOWN_MINUTES) this.#moments.shift();
  }
}

/** What happened from `before` to `after`. */
export function between(before: Moment, after: Moment): Interval {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1_000);
  const rate = (field: 'queries' | 'hits' | 'misses' | 'stale' | 'failures'): number =>
    Math.max(0, after[field] - before[field]) / seconds;
  const hit = (share: number) => quantileMs(before.times.hit, after.times.hit, share);
  const miss = (share: number) => quantileMs(before.times.miss, after.times.miss, share);
  return {
    queries: rate('queries'),
    hits: rate('hits'),
    misses: rate('misses'),
    stale: rate('stale'),
    failures: rate('failures'),
    cacheBytes: after.cacheBytes,
    residentBytes: after.residentBytes,
    ...{ hitP50Ms: hit(0.5), hitP99Ms: hit(0.99), missP50Ms: miss(0.5), missP99Ms: miss(0.99) },
  };
}

/** Linear within a bucket, as Prometheus's histogram_quantile; what is above the last bound counts as that bound. */
function quantileMs(before: Buckets, after: Buckets, share: number): number | undefined {
  const grown = after.map(({ le, count }, index) => ({
    le,
    count: count - (before[index]?.count ?? 0),
  }));
  const total = grown.at(-1)?.count ?? 0;
  if (total <= 0) return undefined;
  const rank = share * total;
  let lower = { le: 0, count: 0 };
  for (const bucket of grown) {
    if (bucket.count >= rank) {
      if (bucket.le === Number.POSITIVE_INFINITY) break;
      const part = (rank - lower.count) / (bucket.count - lower.count);
      return (lower.le + (bucket.le - lower.le) * part) * 1_000;
    }
    lower = bucket;
  }
  return lower.le * 1_000;
}
