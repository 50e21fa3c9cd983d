/**
 * How much an upstream accepts on one connection: queries in all, and unanswered queries at once. A server should
 * accept any number of both (RFC 7766 §6.2.1.1, §6.2.3). The agent assumes that until the server has shown a limit; a
 * limit on queries needs two early closes, because a server that shuts down also closes. From time to time the agent
 * tries twice as much.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Limit, UpstreamMetrics } from '../../upstream-metrics.ts';

/** Larger limits are not worth observing. */
const MAX_BOUND = 8;
/** Two early closes within this time show a limit. */
const HABIT_MS = 10_000;
/** Wait before more is tried: longer after each failure. */
const FIRST_OFFER_MS = 60_000;
const LAST_OFFER_MS = 16 * FIRST_OFFER_MS;

const UNBOUNDED = Number.POSITIVE_INFINITY;

/** One for each pool. A limit is `Infinity` until the server has shown one. */
export class Appetite {
  #inAll = UNBOUNDED;
  #atOnce = UNBOUNDED;
  readonly #clock: Clock;
  readonly #metrics: UpstreamMetrics;
  #closedMs = Number.NEGATIVE_INFINITY;
  #offerMs = UNBOUNDED;
  #pauseMs = FIRST_OFFER_MS / 2;

  constructor({ clock, metrics }: { clock: Clock; metrics: UpstreamMetrics }) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Maximum queries of a connection. */
  get inAll(): number {
    return this.#inAll;
  }

  /** Maximum unanswered queries of a connection. */
  get atOnce(): number {
    return this.#atOnce;
  }

  /** Whether there is a limit; raises it if a trial is due. */
  isBounded(): boolean {
    if (this.#inAll === UNBOUNDED && this.#atOnce === UNBOUNDED) return false;
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#offerMs) return true;
    this.#inAll = twice(this.#inAll);
    this.#atOnce = twice(this.#atOnce);
    this.#offerMs = nowMs + FIRST_OFFER_MS;
    return this.#inAll !== UNBOUNDED || this.#atOnce !== UNBOUNDED;
  }

  /** A connection opened at `startedMs` was closed or became unusable after `answers`, with unanswered queries. */
  closedAfter(answers: number, startedMs: number): void {
    if (answers === 0 || answers > MAX_BOUND || answers >= this.#inAll) return;
    const nowMs = this.#clock.nowMs();
    const isHabit = startedMs >= this.#closedMs && nowMs - this.#closedMs < HABIT_MS;
    this.#closedMs = nowMs;
    if (!isHabit && this.#inAll === UNBOUNDED) return;
    this.#inAll = answers;
    this.#learned('queries_per_connection');
  }

  /** Of several queries that were sent together, the server read only the first. */
  takesOneAtOnce(): void {
    this.#atOnce = 1;
    this.#learned('queries_at_once');
  }

  #learned(what: Limit): void {
    this.#metrics.learned('tcp', what);
    this.#pauseMs = Math.min(LAST_OFFER_MS, 2 * this.#pauseMs);
    this.#offerMs = this.#clock.nowMs() + this.#pauseMs;
  }
}

function twice(bound: number): number {
  return 2 * bound > MAX_BOUND ? UNBOUNDED : 2 * bound;
}
