/** The cache against a model that only knows the last replies of the upstream: the invariants of an outage, at every step. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { DnsError } from '../../agent/base/errors.ts';
import { putU16 } from '../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../agent/dns/iana.ts';
import type { Answer } from '../../agent/query/answer.ts';
import type { Query } from '../../agent/query/query.ts';
import type { ServeStaleOptions } from '../../agent/query/services/cache.ts';
import { Bench, nxdomain, queryFor, replyTo, servfail, VERIFY } from '../unit/cache/harness.ts';

const NAMES = ['a.example.org.', 'b.example.org.'];
const WINDOW_MS = 60_000;
const STALE: ServeStaleOptions = { ...VERIFY, windowMs: WINDOW_MS };
const RUNS = 300;
const MAX_TOTAL_MS = 20_000;

const OUTCOMES = ['good', 'nxdomain', 'empty', 'servfail', 'refused', 'error', 'wrong'] as const;
type Outcome = (typeof OUTCOMES)[number];

type Step =
  | { readonly do: 'ask'; readonly name: string }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'upstream'; readonly outcome: Outcome; readonly delayMs: number }
  | { readonly do: 'reload'; readonly below: string };

const ask: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('ask' as const),
  name: fc.constantFrom(...NAMES),
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: ask, weight: 5 },
  {
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 100, 200, 999, 1_000, 5_000, 7_000, 30_000, 70_000),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('upstream' as const),
      outcome: fc.constantFrom(...OUTCOMES),
      delayMs: fc.constantFrom(0, 50, 199, 200, 300, 4_000),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('reload' as const),
      below: fc.constantFrom('forward . 192.0.2.1', 'forward . 192.0.2.2'),
    }),
    weight: 1,
  },
);

/** The last reply for a name that can be stored. */
interface Known {
  readonly isPositive: boolean;
  readonly version: number;
  readonly expiresMs: number;
  failedMs: number;
}

class Model {
  readonly bench: Bench;
  readonly #serveStale: ServeStaleOptions;
  readonly #known = new Map<string, Known>();
  readonly #inFlight = new Map<string, number>();
  readonly #lastFailureMs = new Map<string, number>();
  readonly #pending = new Set<Promise<void>>();
  #outcome: Outcome = 'good';
  #delayMs = 0;
  #version = 0;

  constructor(serveStale: ServeStaleOptions) {
    this.#serveStale = serveStale;
    this.bench = new Bench({ serveStale });
    this.bench.upstream = (query) => this.#upstream(query);
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'ask':
        this.#ask(step.name);
        return;
      case 'wait':
        return this.bench.services.clock.advance(step.ms);
      case 'upstream':
        this.#outcome = step.outcome;
        this.#delayMs = step.delayMs;
        return;
      case 'reload':
        this.bench.open({ serveStale: this.#serveStale }, { belowCache: step.below });
    }
  }

  /** Every query has been answered, at the latest at the upstream's deadline. */
  async finish(): Promise<void> {
    await this.bench.services.clock.advance(10_000);
    await Promise.all(this.#pending);
    assert.deepEqual(
      [...this.#inFlight.values()].filter((count) => count > 0),
      [],
    );
    assert.equal(this.bench.cache.stats().inflightQueries, 0);
    this.#checkCounts();
    // Failures of background refreshes are reported only here.
    assert.deepEqual(this.bench.services.log.records, []);
    this.bench.cache.close();
    assert.equal(this.bench.services.clock.pendingTimers, 0);
  }

  /** Every query is a hit or a miss, every stale answer has one reason. */
  #checkCounts(): void {
    const cache = (name: string, labels = {}) => this.bench.count(`coredns_cache_${name}`, labels);
    const hits = cache('hits_total', { type: 'success' }) + cache('hits_total', { type: 'denial' });
    assert.equal(hits + cache('misses_total'), cache('requests_total'));
    const reasons = ['immediate', 'budget', 'recheck', 'failure'].map((reason) =>
      this.bench.count('nodens_cache_stale_served_total', { reason }),
    );
    const served = reasons.reduce((sum, count) => sum + count, 0);
    assert.equal(served, cache('served_stale_total'));
  }

  get #now(): number {
    return this.bench.services.clock.nowMs();
  }

  #usable(name: string, nowMs: number): Known | undefined {
    const known = this.#known.get(name);
    if (known === undefined || !known.isPositive) return undefined;
    return nowMs < known.expiresMs + WINDOW_MS ? known : undefined;
  }

  #ask(name: string): void {
    const askedMs = this.#now;
    const wasUsable = this.#usable(name, askedMs) !== undefined;
    const check = (answer: Answer): void => this.#check(name, askedMs, wasUsable, answer);
    const fail = (error: unknown): void => {
      if (!(error instanceof DnsError)) throw error;
      this.#checkFailure(name, wasUsable);
    };
    let result: Answer | Promise<Answer>;
    try {
      result = this.bench.ask({ name });
    } catch (error) {
      fail(error);
      return;
    }
    if (result instanceof Promise) this.#pending.add(result.then(check, fail));
    else check(result);
  }

  #upstream(query: Query): Promise<Answer> {
    const name = query.nameText;
    const inFlight = this.#inFlight.get(name) ?? 0;
    assert.equal(inFlight, 0, 'one refresh in flight per key');
    this.#inFlight.set(name, 1);
    const usable = this.#usable(name, this.#now);
    if (usable !== undefined) {
      const pauseMs = this.#now - usable.failedMs;
      assert.ok(pauseMs >= this.#serveStale.recheckMs, 'a failed refresh waits for the recheck');
    }
    const outcome = this.#outcome;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.bench.services.clock.after(this.#delayMs, () => {
      this.#inFlight.set(name, 0);
      try {
        resolve(this.#reply(name, query, outcome));
      } catch (error) {
        reject(error);
      }
    });
    return promise;
  }

  #reply(name: string, query: Query, outcome: Outcome): Answer {
    const now = this.#now;
    const version = ++this.#version;
    const learn = (isPositive: boolean, ttlSeconds: number): void => {
      const expiresMs = now + ttlSeconds * 1_000;
      this.#known.set(name, { isPositive, version, expiresMs, failedMs: Number.NEGATIVE_INFINITY });
    };
    if (outcome === 'good') {
      learn(true, 5);
      const rdata = new Uint8Array(4);
      putU16(rdata, 2, version);
      return replyTo(query, { answer: [{ type: TYPE.A, ttlSeconds: 5, rdata }] }, now);
    }
    if (outcome === 'nxdomain') {
      learn(false, 5);
      return replyTo(query, nxdomain(5), now);
    }
    if (outcome === 'empty') {
      // It cannot be stored, and removes the answer that it contradicts.
      this.#known.delete(name);
      return replyTo(query, {}, now);
    }
    this.#lastFailureMs.set(name, now);
    const usable = this.#usable(name, now);
    if (usable !== undefined) usable.failedMs = now;
    if (outcome === 'error') throw new DnsError(RCODE.SERVFAIL, 'no upstream');
    if (outcome === 'wrong') return replyTo(queryFor({ name: 'evil.example.' }, now), {}, now);
    return replyTo(query, outcome === 'servfail' ? servfail : { rcode: RCODE.REFUSED }, now);
  }

  #check(name: string, askedMs: number, wasUsable: boolean, answer: Answer): void {
    const { rcode } = answer;
    const isFailure = rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN;
    const isWrong = answer.wire.includes('evil');
    if (isFailure || isWrong) {
      this.#checkFailure(name, wasUsable);
      return;
    }
    if (answer.ttlOffsets.length === 0) return;
    const known = this.#known.get(name);
    const now = this.#now;
    assert.ok(known !== undefined, 'an answer that the upstream never sent');
    if (rcode === RCODE.NXDOMAIN) {
      assert.equal(known.isPositive, false, 'an outdated denial');
      assert.ok(now < known.expiresMs, 'a denial past its TTL');
      return;
    }
    assert.equal(answer.wire.readUInt16BE((answer.ttlOffsets[0] as number) + 8), known.version);
    assert.equal(known.isPositive, true, 'an outdated answer');
    if (answer.ttlOverrideSeconds === undefined) {
      assert.ok(now < known.expiresMs, 'an expired answer that looks fresh');
      return;
    }
    assert.ok(now >= known.expiresMs, 'a stale answer in place of a fresh one');
    assert.ok(askedMs < known.expiresMs + WINDOW_MS, 'a stale answer past its window');
    this.#checkBudget(name, askedMs);
  }

  /** A stale answer is sent when the budget of this query or of the query in flight is spent, or after a recent failure. */
  #checkBudget(name: string, askedMs: number): void {
    const { mode, budgetMs, recheckMs } = this.#serveStale;
    const now = this.#now;
    if (mode === 'immediate') {
      assert.equal(now, askedMs, 'immediate means at once');
      return;
    }
    const failedMs = this.#lastFailureMs.get(name) ?? Number.NEGATIVE_INFINITY;
    const isOverdue = (this.#inFlight.get(name) ?? 0) > 0;
    assert.ok(now - askedMs >= budgetMs || now - failedMs < recheckMs || isOverdue);
    assert.ok(now - askedMs <= budgetMs, 'no client waits longer than the budget');
  }

  #checkFailure(name: string, wasUsable: boolean): void {
    const isUsable = this.#usable(name, this.#now) !== undefined;
    assert.ok(!(wasUsable && isUsable), 'a failure in place of a usable answer');
  }
}

for (const mode of ['verify', 'immediate'] as const) {
  it(`keeps the invariants of an outage, ${mode}`, async () => {
    const serveStale = { ...STALE, mode, budgetMs: mode === 'verify' ? 200 : 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 40 }), async (sequence) => {
        const model = new Model(serveStale);
        for (const step of sequence) await model.run(step);
        await model.finish();
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: MAX_TOTAL_MS },
    );
  });
}
