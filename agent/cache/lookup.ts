/**
 * The path of a query through the cache of one block. A hit is synchronous and allocates nothing but the key. Work that
 * needs the rest of the chain is one query in flight per key.
 */
import { DnsError, GaveWayError, messageOf } from '../base/errors.ts';
import type { Answer } from '../query/answer.ts';
import { gaveWay, gaveWayAnswer } from '../query/error-answer.ts';
import type { Handler, Result } from '../query/handler.ts';
import { after } from '../query/plugin.ts';
import { Query } from '../query/query.ts';
import type { BlockCache, PrefetchOptions, ServeStaleOptions } from '../query/services/cache.ts';
import type { Counters } from './counters.ts';
import type { LookupParts } from './lookup-parts.ts';
import { NxdomainCuts } from './nxdomain-cut.ts';
import { isCacheable } from './policy/classify.ts';
import { AFTER_RELOAD, isUsable, lastGoodAnswer, type StaleReason } from './policy/stale.ts';
import { type AskOwn, DenialProbes } from './probe/denial-probes.ts';
import type { AnswerSource, InflightQuery, Sourced } from './single-flight.ts';
import type { Entry } from './store/entry.ts';
import { StoreResult } from './store-result.ts';

/** One for each block and configuration; the entries are in `store` and outlive it. */
export class Lookup implements BlockCache {
  readonly #parts: LookupParts;
  readonly #stale: ServeStaleOptions;
  readonly #cuts: NxdomainCuts;
  readonly #probes: DenialProbes | undefined;

  constructor(parts: LookupParts) {
    this.#parts = parts;
    this.#cuts = new NxdomainCuts(parts.options.nxdomainCut);
    this.#stale = parts.options.serveStale ?? AFTER_RELOAD;
    const { ancestors } = parts;
    if (ancestors === undefined) return;
    const ask: AskOwn = (query, next, count, isRenewal) => {
      const key = query.keyIn(parts.blockId);
      const stored = isRenewal ? undefined : this.#stored(key);
      return stored ?? this.#ask(key, query, next, count).answer;
    };
    this.#probes = new DenialProbes({ ...parts, ancestors, ask });
  }

  /**
   * Throws or rejects with the error of `next` if there is no stored answer to serve instead, and with GaveWayError if
   * the client has no room to wait.
   */
  handle(query: Query, next: Handler): Result {
    if (!isCacheable(query.type, query.class)) return next(query);
    const { blockId, configVersion, store, options, clock } = this.#parts;
    const count = this.#parts.counters(query.server);
    count.requests.value++;
    const now = query.arrivedMs;
    const entry = store.findAsked(query, blockId);
    if (entry?.isFresh(now, configVersion)) {
      entry.wasHit = true;
      count.hits[entry.kind].value++;
      if (options.prefetch !== undefined) this.#popular(entry, query, next, options.prefetch);
      return entry.answer;
    }
    if (!query.recursionDesired) {
      count.misses.value++;
      return next(query);
    }
    if (entry !== undefined && isUsable(entry, now, this.#stale)) {
      entry.wasHit = true;
      return this.#expired(entry, query, next, count);
    }
    const key = query.keyIn(blockId);
    const denial = this.#denialAbove(query, key, next, count, now);
    if (denial !== undefined) {
      count.hits.negative.value++;
      count.cut.value++;
      return denial;
    }
    const failure = store.failure(key);
    if (failure?.isFresh(now, configVersion)) {
      count.hits.failure.value++;
      return failure.answer;
    }
    count.misses.value++;
    return this.#miss(key, query, next, count, clock.nowMs());
  }

  /** The denial of a name above that of `query`, as an answer to it. */
  #denialAbove(
    query: Query,
    key: string,
    next: Handler,
    count: Counters,
    now: number,
  ): Answer | undefined {
    const { configVersion, store } = this.#parts;
    const probed = this.#probes?.find(query, key, next, count);
    return probed ?? this.#cuts.find(query, key, store.denials, now, configVersion);
  }

  /** Asks for `query`; if a probe may make that unnecessary, after the probe. `sinceMs`: when it was first held. */
  #miss(key: string, query: Query, next: Handler, count: Counters, sinceMs: number): Result {
    const isAsked = this.#parts.inflightQueries.find(key) !== undefined;
    const held = isAsked ? undefined : this.#probes?.hold(query, key, next, count, sinceMs);
    if (held === undefined) return this.#ask(key, query, next, count).answer;
    return held.then((isLearned) => {
      const stored = this.#stored(key);
      if (stored !== undefined) return stored;
      const denial = this.#denialAbove(query, key, next, count, this.#parts.clock.nowMs());
      // Without an answer to the probe it must not be held again.
      const since = isLearned ? sinceMs : Number.NEGATIVE_INFINITY;
      if (denial === undefined) return this.#miss(key, query, next, count, since);
      count.cut.value++;
      return denial;
    });
  }

  /** A fresh answer or failure of the question itself. */
  #stored(key: string): Answer | undefined {
    const { store, clock, configVersion } = this.#parts;
    const entry = store.peek(key) ?? store.failure(key);
    return entry?.isFresh(clock.nowMs(), configVersion) === true ? entry.answer : undefined;
  }

  /** Counts a hit of a popular entry, and refreshes it shortly before it expires. */
  #popular(entry: Entry, query: Query, next: Handler, { amount, windowMs }: PrefetchOptions): void {
    const now = query.arrivedMs;
    entry.hits = now - entry.lastHitMs > windowMs ? 1 : entry.hits + 1;
    entry.lastHitMs = Math.floor(now);
    if (entry.hits < amount || now < entry.refreshMs || now < entry.recheckMs) return;
    this.#refresh(entry.key, query, next);
  }

  /** An entry past its TTL, or from before a reload, which may be served if nothing better arrives. */
  #expired(entry: Entry, query: Query, next: Handler, count: Counters): Result {
    const now = query.arrivedMs;
    if (now < entry.recheckMs) return this.#serveStale(entry, count, 'recheck');
    if (this.#stale.mode === 'immediate') {
      this.#refresh(entry.key, query, next);
      return this.#serveStale(entry, count, 'immediate');
    }
    const inflight = this.#parts.inflightQueries.find(entry.key);
    if (inflight?.isOverdue) return this.#serveStale(entry, count, 'budget');
    return this.#verify(entry, query, next, count);
  }

  /**
   * Asks upstream; after its budget the client gets the stale answer. The query in flight continues, and its answer is
   * stored.
   */
  #verify(entry: Entry, query: Query, next: Handler, count: Counters): Result {
    let isAnswered = false;
    let asked: Sourced<Result> | undefined;
    const result = after(
      (own) => {
        asked = this.#ask(entry.key, own, next, count);
        return asked.answer;
      },
      query,
      (answer) => {
        if (isAnswered) return answer;
        if (gaveWay(answer)) return this.#serveStale(entry, count, 'failure');
        this.#countSource(entry, asked?.source, count);
        return answer;
      },
      (error) => {
        if (isAnswered) throw error;
        // The client had no room to wait: that is no failure of the name.
        if (error instanceof GaveWayError) return this.#serveStale(entry, count, 'failure');
        count.misses.value++;
        throw error;
      },
    );
    if (!(result instanceof Promise)) return result;
    const inflight = this.#parts.inflightQueries.find(entry.key);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const timer = this.#parts.clock.after(this.#stale.budgetMs, () => {
      isAnswered = true;
      if (inflight !== undefined) inflight.isOverdue = true;
      resolve(this.#serveStale(entry, count, 'budget'));
    });
    result.then(
      (answer) => {
        timer.cancel();
        resolve(answer);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
    return promise;
  }

  #countSource(entry: Entry, source: AnswerSource | undefined, count: Counters): void {
    if (source === 'last-good') this.#countStale(entry, count, 'failure');
    else count.misses.value++;
  }

  #serveStale(entry: Entry, count: Counters, reason: StaleReason): Answer {
    this.#countStale(entry, count, reason);
    return lastGoodAnswer(entry, this.#parts.clock.nowMs(), this.#stale);
  }

  #countStale(entry: Entry, count: Counters, reason: StaleReason): void {
    count.hits[entry.kind].value++;
    count.servedStale.value++;
    count.stale[reason].value++;
  }

  /** Joins the query in flight for `key`, or starts it. */
  #ask(key: string, query: Query, next: Handler, count: Counters): Sourced<Result> {
    const inflight = this.#parts.inflightQueries.find(key);
    if (inflight !== undefined) return this.#join(inflight, query, next, count);
    return this.#fetch(key, query, next, count);
  }

  #join(inflight: InflightQuery, query: Query, next: Handler, count: Counters): Sourced<Result> {
    count.coalesced.value++;
    const waiter = inflight.join(query.clientKey, count.rejected);
    if (waiter === undefined) return { answer: gaveWayAnswer(query), source: 'chain' };
    let from: Sourced<Result> = inflight;
    const answer = waiter.answer.then(
      (shared) => (shared.shareable ? shared : next(query)),
      (error: unknown) => {
        if (!(error instanceof GaveWayError) || waiter.hasGivenWay || !waiter.isGuest) throw error;
        // The client that asked first had to give way; the other clients still get an answer.
        from = this.#ask(inflight.key, query, next, count);
        return from.answer;
      },
    );
    return {
      answer,
      get source() {
        return from.source;
      },
    };
  }

  /** Runs the rest of the chain. The answer is stored before a client gets it. */
  #fetch(key: string, query: Query, next: Handler, count: Counters): Sourced<Result> {
    const { responseWriter, inflightQueries } = this.#parts;
    let result: Result;
    try {
      result = next(query);
    } catch (error) {
      return responseWriter.failed(query, key, error);
    }
    if (!(result instanceof Promise)) return responseWriter.accept(query, key, result, count);
    const handler = new StoreResult(responseWriter, query, key, count);
    return inflightQueries.start(key, query.clientKey, result, handler);
  }

  /** Fetches in the background: no client waits for the result. */
  #refresh(key: string, query: Query, next: Handler): void {
    const { inflightQueries } = this.#parts;
    if (inflightQueries.find(key) !== undefined) return;
    const count = this.#parts.counters(query.server);
    if (!inflightQueries.takeRefresh()) {
      count.deferred.value++;
      return;
    }
    count.prefetch.value++;
    // An internal query: the client's query object is reused as soon as the client has its answer.
    const own = Query.internal(query, this.#parts.clock.nowMs());
    try {
      const { answer } = this.#fetch(key, own, next, count);
      if (answer instanceof Promise)
        answer.catch((error: unknown) => this.#refreshFailed(own, error));
    } catch (error) {
      this.#refreshFailed(own, error);
    }
  }

  /** A failed background refresh has been counted already; only a bug is logged. */
  #refreshFailed(query: Query, error: unknown): void {
    if (error instanceof DnsError) return;
    const { log } = this.#parts;
    log.error(
      { event: 'refresh-failed', question: query.nameText, type: query.type },
      `refresh failed: ${messageOf(error)}`,
    );
  }
}
