/**
 * One question, one upstream query, however many ask: misses, refreshes and prefetch alike. Keyed by the
 * whole cache key. The map is in order of age, so one look at its front finds what has taken too long.
 */

import type { ClientShare, Holding, MemoryLedger } from '../base/clients/memory-ledger.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { DnsError, GAVE_WAY } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import type { Answer } from '../query/answer.ts';
import type { Counter } from '../query/services/metrics.ts';

/** What runs may take at most: longer than any client's deadline, so that nobody is cut off who still waits. */
const MAX_FLIGHT_MS = LIMITS.queryDeadlineMs.default + 1_000;
const CHECK_INTERVAL_MS = 500;
/** Background refreshes that may be begun in a second, and at once after a quiet time: all blocks together. */
const REFRESHES_PER_SECOND = 200;
const REFRESH_BURST = 200;

/** What a client costs that waits for the query of another: its query, a promise and its place in the set; measured. */
export const WAITER_BYTES = 4 * 1_024;

/** Waiters of one client are alike, whatever they wait for. */
const WAITERS = {};
const NONE: readonly Waiter[] = [];

const NO_ANSWER = { code: EDE.NO_REACHABLE_AUTHORITY, text: 'no answer in time' };

/** Stores the result of a flight, and returns what its waiters get; or throws. */
export interface Absorb {
  onAnswer(answer: Answer): Answer;
  onError(error: unknown): Answer;
}

export interface Flight {
  readonly key: string;
  /** What its first client gets. */
  readonly answer: Promise<Answer>;
  /** A client's budget has been spent on it already: no other's is. */
  isOverdue: boolean;
  /**
   * One more client waits. `gaveWay` counts where it has to make room before the end. Throws GaveWayError where the client
   * has more queries waiting than any other one and there is no room for more.
   */
  join(clientKey: string, gaveWay: Counter): Waiter;
}

/** A client that waits for the query of another. */
export class Waiter implements Holding {
  readonly kind = 'query';
  readonly lane = WAITERS;
  heldBytes = WAITER_BYTES;
  isHeld = false;
  older: Holding | undefined;
  newer: Holding | undefined;
  readonly answer: Promise<Answer>;
  /** Whether another client asked first. */
  readonly isGuest: boolean;
  hasGivenWay = false;
  readonly #flight: Running;
  readonly #share: ClientShare;
  readonly #gaveWay: Counter;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;

  constructor(flight: Running, share: ClientShare, gaveWay: Counter) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.answer = promise;
    this.isGuest = share.key !== flight.clientKey;
    this.#flight = flight;
    this.#share = share;
    this.#gaveWay = gaveWay;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  giveWay(): void {
    this.hasGivenWay = true;
    this.#gaveWay.value++;
    this.#flight.leave(this);
    this.#reject(GAVE_WAY);
  }

  arrived(answer: Answer): void {
    this.#share.remove(this);
    this.#resolve(answer);
  }

  failed(error: unknown): void {
    this.#share.remove(this);
    this.#reject(error);
  }
}

/** A flight, and what is made of its end. */
class Running implements Flight {
  readonly key: string;
  readonly clientKey: string;
  isOverdue = false;
  /** Clients that wait besides the first; seldom any. */
  #waiters: Set<Waiter> | undefined;
  readonly answer: Promise<Answer>;
  readonly startedMs: number;
  readonly #ledger: MemoryLedger;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #absorb: Absorb;

  constructor(
    key: string,
    clientKey: string,
    startedMs: number,
    ledger: MemoryLedger,
    absorb: Absorb,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.key = key;
    this.clientKey = clientKey;
    this.answer = promise;
    this.startedMs = startedMs;
    this.#ledger = ledger;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#absorb = absorb;
  }

  join(clientKey: string, gaveWay: Counter): Waiter {
    const share = this.#ledger.share(clientKey);
    if (!share.admits(WAITERS, WAITER_BYTES)) {
      gaveWay.value++;
      throw GAVE_WAY;
    }
    const waiter = new Waiter(this, share, gaveWay);
    this.#waiters ??= new Set();
    this.#waiters.add(waiter);
    share.add(waiter);
    return waiter;
  }

  /** `waiter` does not wait any more. */
  leave(waiter: Waiter): void {
    this.#waiters?.delete(waiter);
  }

  arrived(answer: Answer): void {
    try {
      this.#settle(this.#absorb.onAnswer(answer));
    } catch (error) {
      this.#fail(error);
    }
  }

  failed(error: unknown): void {
    try {
      this.#settle(this.#absorb.onError(error));
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #settle(answer: Answer): void {
    this.#resolve(answer);
    for (const waiter of this.#waiters ?? NONE) waiter.arrived(answer);
  }

  #fail(error: unknown): void {
    this.#reject(error);
    for (const waiter of this.#waiters ?? NONE) waiter.failed(error);
  }
}

export class Flights {
  readonly #clock: Clock;
  readonly #running = new Map<string, Running>();
  readonly #timer: Timer;
  readonly #ledger: MemoryLedger;
  #refreshes = REFRESH_BURST;
  #refilledMs: number;

  constructor(clock: Clock, ledger: MemoryLedger) {
    this.#clock = clock;
    this.#ledger = ledger;
    this.#refilledMs = clock.nowMs();
    this.#timer = clock.every(CHECK_INTERVAL_MS, () => this.#check());
  }

  get count(): number {
    return this.#running.size;
  }

  find(key: string): Flight | undefined {
    return this.#running.get(key);
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
   * Lets others join `work`, which the client behind `clientKey` asked for first, until it ends. Waiters get the result of
   * `onAnswer` or `onError`. Where the work does not end in time, that is an error, and the key is free again; a late
   * result is still given to `absorb`.
   */
  start(key: string, clientKey: string, work: Promise<Answer>, absorb: Absorb): Flight {
    const flight = new Running(key, clientKey, this.#clock.nowMs(), this.#ledger, absorb);
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
    if (this.#running.get(key) === flight) this.#running.delete(key);
  }
}
