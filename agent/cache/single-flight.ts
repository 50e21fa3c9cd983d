/**
 * One upstream query per question, however many clients ask: misses, refreshes and prefetch alike. Keyed by the whole
 * cache key. The map is ordered by age, so its first entries are those that have taken too long.
 */

import type { ClientShare, Holding, MemoryLedger } from '../base/clients/memory-ledger.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { DnsError, GAVE_WAY } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { RateLimit } from '../base/rate-limit.ts';
import { RenewedMap } from '../base/renewed-map.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import type { Answer } from '../query/answer.ts';
import type { Result } from '../query/handler.ts';
import type { Counter } from '../query/services/metrics.ts';

/** Maximum time in flight: longer than the deadline of any client that still waits for it. */
const MAX_INFLIGHT_MS = LIMITS.queryDeadlineMs.default + 1_000;
const CHECK_INTERVAL_MS = 500;
/** Background refreshes that all blocks together may start in a second, and in a burst after a pause. */
const REFRESHES_PER_SECOND = 200;
const REFRESH_BURST = 200;

/** Memory of a waiter: its query, a promise and its place in the set; measured. */
export const WAITER_BYTES = 4 * 1_024;

/** All waiters of one client are interchangeable for the ledger. */
const WAITERS = {};
const NONE: readonly Waiter[] = [];

const NO_ANSWER = { code: EDE.NO_REACHABLE_AUTHORITY, text: 'no answer in time' };

/** `last-good`: the stored answer, because the rest of the chain failed or its answer is not believed. */
export type AnswerSource = 'chain' | 'last-good';

/** An answer and where it comes from. If `answer` is a promise, `source` is right once that has resolved. */
export interface Sourced<R extends Result> {
  readonly answer: R;
  readonly source: AnswerSource;
}

/** Stores the result of a query in flight. Returns what its waiters get, or throws what they get. */
export interface ResultHandler {
  onAnswer(answer: Answer): Sourced<Answer>;
  onError(error: unknown): Sourced<Answer>;
}

/** A query that the rest of the chain has not answered yet. */
export interface InflightQuery extends Sourced<Promise<Answer>> {
  readonly key: string;
  /** One client has waited its whole budget: further clients get the stale answer at once. */
  isOverdue: boolean;
  /**
   * Adds a waiter. `gaveWay` is incremented if it has to give way. Undefined if this client already has the most queries
   * waiting and there is no room for more.
   */
  join(clientKey: string, gaveWay: Counter): Waiter | undefined;
}

/** A client that waits for another client's query. */
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
  readonly #inflight: RunningQuery;
  readonly #share: ClientShare;
  readonly #gaveWay: Counter;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;

  constructor(inflight: RunningQuery, share: ClientShare, gaveWay: Counter) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.answer = promise;
    this.isGuest = share.key !== inflight.clientKey;
    this.#inflight = inflight;
    this.#share = share;
    this.#gaveWay = gaveWay;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  giveWay(): void {
    this.hasGivenWay = true;
    this.#gaveWay.value++;
    this.#inflight.leave(this);
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

/** A query in flight, its waiters, and the handler of its result. */
class RunningQuery implements InflightQuery {
  readonly key: string;
  readonly clientKey: string;
  isOverdue = false;
  source: AnswerSource = 'chain';
  /** Waiting clients besides the first; usually none. */
  #waiters: Set<Waiter> | undefined;
  /** Result for the first client. */
  readonly answer: Promise<Answer>;
  readonly startedMs: number;
  readonly #ledger: MemoryLedger;
  #resolve!: (answer: Answer) => void;
  #reject!: (error: unknown) => void;
  readonly #handler: ResultHandler;

  constructor(
    key: string,
    clientKey: string,
    startedMs: number,
    ledger: MemoryLedger,
    handler: ResultHandler,
  ) {
    this.key = key;
    this.clientKey = clientKey;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.startedMs = startedMs;
    this.#ledger = ledger;
    this.#handler = handler;
  }

  join(clientKey: string, gaveWay: Counter): Waiter | undefined {
    const share = this.#ledger.share(clientKey);
    if (!share.admits(WAITERS, WAITER_BYTES)) {
      gaveWay.value++;
      return undefined;
    }
    const waiter = new Waiter(this, share, gaveWay);
    this.#waiters ??= new Set();
    this.#waiters.add(waiter);
    share.add(waiter);
    return waiter;
  }

  /** `waiter` no longer waits. */
  leave(waiter: Waiter): void {
    this.#waiters?.delete(waiter);
  }

  arrived(answer: Answer): void {
    try {
      this.#settle(this.#handler.onAnswer(answer));
    } catch (error) {
      this.#fail(error);
    }
  }

  failed(error: unknown): void {
    try {
      this.#settle(this.#handler.onError(error));
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #settle({ answer, source }: Sourced<Answer>): void {
    this.source = source;
    this.#resolve(answer);
    for (const waiter of this.#waiters ?? NONE) waiter.arrived(answer);
  }

  #fail(error: unknown): void {
    this.#reject(error);
    for (const waiter of this.#waiters ?? NONE) waiter.failed(error);
  }
}

/** One for the process: all blocks share it, and the number of the block is part of the key. */
export class InflightQueries {
  readonly #clock: Clock;
  readonly #running = new RenewedMap<string, RunningQuery>();
  readonly #timer: Timer;
  readonly #ledger: MemoryLedger;
  readonly #refreshes: RateLimit;

  constructor(clock: Clock, ledger: MemoryLedger) {
    this.#clock = clock;
    this.#ledger = ledger;
    this.#refreshes = new RateLimit(clock, REFRESHES_PER_SECOND, REFRESH_BURST);
    this.#timer = clock.every(CHECK_INTERVAL_MS, () => this.#check());
  }

  /** Queries in flight, without those that have taken too long. */
  get count(): number {
    return this.#running.size;
  }

  /** Undefined also for a query that has taken too long, although its reply may still come. */
  find(key: string): InflightQuery | undefined {
    return this.#running.get(key);
  }

  /**
   * Whether a background refresh may start now; counts it if so. No client waits for a refresh, so it can be put off:
   * when an outage ends, a cache full of expired names must not flood the upstream.
   */
  takeRefresh(): boolean {
    return this.#refreshes.take();
  }

  /**
   * Lets other clients join `work`, which the client behind `clientKey` asked for. Waiters get the result of `onAnswer`
   * or `onError`. If `work` takes too long, they get SERVFAIL and the key is free; `handler` still gets a late reply.
   */
  start(
    key: string,
    clientKey: string,
    work: Promise<Answer>,
    handler: ResultHandler,
  ): InflightQuery {
    const inflight = new RunningQuery(key, clientKey, this.#clock.nowMs(), this.#ledger, handler);
    this.#running.set(key, inflight);
    work.then(
      (answer) => {
        this.#complete(key, inflight);
        inflight.arrived(answer);
      },
      (error: unknown) => {
        this.#complete(key, inflight);
        inflight.failed(error);
      },
    );
    return inflight;
  }

  /** Ends the timer; queries still in flight then have no time limit of this class. */
  close(): void {
    this.#timer.cancel();
  }

  #check(): void {
    const latestStartMs = this.#clock.nowMs() - MAX_INFLIGHT_MS;
    for (const [key, inflight] of this.#running) {
      if (inflight.startedMs > latestStartMs) return;
      this.#complete(key, inflight);
      inflight.failed(new DnsError(RCODE.SERVFAIL, 'no answer in time', NO_ANSWER));
    }
  }

  #complete(key: string, inflight: RunningQuery): void {
    // A query that took too long has been completed before, and its key may belong to a newer one.
    if (this.#running.get(key) === inflight) this.#running.delete(key);
  }
}
