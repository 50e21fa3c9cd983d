/**
 * One question, one upstream query, however many ask: misses, refreshes and prefetch alike (design §4.5). Keyed by the
 * whole cache key. The map is in order of age, so one look at its front finds what has taken too long.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { DnsError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import type { Answer } from '../query/answer.ts';

/** What runs may take at most: longer than any client's deadline, so that nobody is cut off who still waits. */
const MAX_FLIGHT_MS = LIMITS.queryDeadlineMs.default + 1_000;
const CHECK_INTERVAL_MS = 500;
/** Background refreshes that may be begun in a second, and at once after a quiet time: all blocks together. */
const REFRESHES_PER_SECOND = 200;
const REFRESH_BURST = 200;

/** Clients that may wait for one upstream query. */
const MAX_WAITERS = LIMITS.waitersPerQuery.default;

const NO_ANSWER = { code: EDE.NO_REACHABLE_AUTHORITY, text: 'no answer in time' };

/** Takes in how a flight ended, and makes of it what those who wait get; or throws. */
type Absorb<T = unknown> = (end: T) => Answer;

export interface Flight {
  readonly answer: Promise<Answer>;
  /** Clients that wait, the first included; those that left are counted until it ends. */
  waiters: number;
  /** A client's budget has been spent on it already: nobody else's is. */
  isOverdue: boolean;
}

/** A flight, and what is made of its end. */
class Running implements Flight {
  waiters = 1;
  isOverdue = false;
  readonly answer: Promise<Answer>;
  readonly startedMs: number;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAnswer: Absorb<Answer>;
  readonly #onError: Absorb;

  constructor(startedMs: number, onAnswer: Absorb<Answer>, onError: Absorb) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onAnswer = onAnswer;
    this.#onError = onError;
    this.startedMs = startedMs;
  }

  arrived(answer: Answer): void {
    try {
      this.#resolve(this.#onAnswer(answer));
    } catch (error) {
      this.#reject(error);
    }
  }

  failed(error: unknown): void {
    try {
      this.#resolve(this.#onError(error));
    } catch (thrown) {
      this.#reject(thrown);
    }
  }
}

export class Flights {
  readonly #clock: Clock;
  readonly #running = new Map<string, Running>();
  readonly #timer: Timer;
  /** Clients that may have joined queries of others, all together. */
  readonly #maxJoined: number;
  #joined = 0;
  #refreshes = REFRESH_BURST;
  #refilledMs: number;

  constructor(clock: Clock, maxJoined: number = LIMITS.inFlightQueries.default) {
    this.#clock = clock;
    this.#maxJoined = maxJoined;
    this.#refilledMs = clock.nowMs();
    this.#timer = clock.every(CHECK_INTERVAL_MS, () => this.#check());
  }

  get count(): number {
    return this.#running.size;
  }

  find(key: string): Flight | undefined {
    return this.#running.get(key);
  }

  /** Whether one more client may wait for `flight`. */
  hasRoom(flight: Flight): boolean {
    return flight.waiters < MAX_WAITERS && this.#joined < this.#maxJoined;
  }

  /** A client waits for `flight`; it counts until that ends. */
  join(flight: Flight): void {
    flight.waiters++;
    this.#joined++;
  }

  /**
   * Whether a background refresh may begin now, which counts as one. Nobody waits for it, so it can wait itself: when
   * an outage ends, a cache full of old names must not fall upon the upstream at once.
   */
  takeRefresh(): boolean {
    const nowMs = this.#clock.nowMs();
    const earned = ((nowMs - this.#refilledMs) / 1_000) * REFRESHES_PER_SECOND;
    this.#refreshes = Math.min(REFRESH_BURST, this.#refreshes + earned);
    this.#refilledMs = nowMs;
    if (this.#refreshes < 1) return false;
    this.#refreshes--;
    return true;
  }

  /**
   * Lets others join `work` until it ends; who waits gets what `onAnswer` or `onError` makes of its end. Where it does not
   * end in time, that is an error, and the key is free again; what comes of it later is still given to the two, and to
   * nobody else.
   */
  start(key: string, work: Promise<Answer>, onAnswer: Absorb<Answer>, onError: Absorb): Flight {
    const flight = new Running(this.#clock.nowMs(), onAnswer, onError);
    this.#running.set(key, flight);
    work.then(
      (answer) => {
        this.#land(key, flight);
        flight.arrived(answer);
      },
      (error: unknown) => {
        this.#land(key, flight);
        flight.failed(error);
      },
    );
    return flight;
  }

  close(): void {
    this.#timer.cancel();
  }

  #check(): void {
    const latestStartMs = this.#clock.nowMs() - MAX_FLIGHT_MS;
    for (const [key, flight] of this.#running) {
      if (flight.startedMs > latestStartMs) return;
      this.#land(key, flight);
      flight.failed(new DnsError(RCODE.SERVFAIL, 'no answer in time', NO_ANSWER));
    }
  }

  #land(key: string, flight: Running): void {
    // One that took too long has landed before, and its key may be another's.
    if (this.#running.get(key) !== flight) return;
    this.#running.delete(key);
    this.#joined -= flight.waiters - 1;
  }
}
