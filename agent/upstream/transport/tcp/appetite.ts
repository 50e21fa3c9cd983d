/**
 * How much an upstream takes on one connection: how many queries in all, and how many that have not been answered.
 * A server should take any number of both (RFC 7766 §6.2.1.1, §6.2.3), and is held to take that until it has been seen
 * not to, twice where it closed: a server that ends has connections, too. Now and then it is offered twice as much.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Limit, UpstreamMetrics } from '../../upstream-metrics.ts';

/** With this many queries a connection there is nothing to be gained. */
const MAX_BOUND = 8;
/** Connections that were closed so soon one after the other are a habit. */
const HABIT_MS = 10_000;
/** Until more is offered: longer each time that it was not taken. */
const FIRST_OFFER_MS = 60_000;
const LAST_OFFER_MS = 16 * FIRST_OFFER_MS;

const UNBOUNDED = Number.POSITIVE_INFINITY;

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

  /** Queries that a connection carries. */
  get inAll(): number {
    return this.#inAll;
  }

  /** Queries without an answer that a connection carries. */
  get atOnce(): number {
    return this.#atOnce;
  }

  /** Whether there is a bound; offers more where that is due. */
  isBounded(): boolean {
    if (this.#inAll === UNBOUNDED && this.#atOnce === UNBOUNDED) return false;
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#offerMs) return true;
    this.#inAll = twice(this.#inAll);
    this.#atOnce = twice(this.#atOnce);
    this.#offerMs = nowMs + FIRST_OFFER_MS;
    return this.#inAll !== UNBOUNDED || this.#atOnce !== UNBOUNDED;
  }

  /** A connection opened at `startedMs` was closed, or of no more use, after `answers`; queries on it had none. */
  closedAfter(answers: number, startedMs: number): void {
    if (answers === 0 || answers > MAX_BOUND || answers >= this.#inAll) return;
    const nowMs = this.#clock.nowMs();
    const isHabit = startedMs >= this.#closedMs && nowMs - this.#closedMs < HABIT_MS;
    this.#closedMs = nowMs;
    if (!isHabit && this.#inAll === UNBOUNDED) return;
    this.#inAll = answers;
    this.#learned('queries_per_connection');
  }

  /** Only the first of several queries that went out together was read. */
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
