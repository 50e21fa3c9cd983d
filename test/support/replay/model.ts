/**
 * Assertions of the invariants of an outage (docs/architecture.md) while a real chain runs. The model is between cache and
 * upstream room: it records the result of each exchange, and derives what a client may get.
 */
import assert from 'node:assert/strict';
import { DnsError } from '../../../agent/base/errors.ts';
import { ancountOf } from '../../../agent/dns/header.ts';
import { RCODE } from '../../../agent/dns/iana.ts';
import { nameToText } from '../../../agent/dns/name.ts';
import type { Reply } from '../../../agent/dns/reply.ts';
import type { ServeStaleOptions } from '../../../agent/query/services/cache.ts';
import type { UpstreamGroup, Upstreams } from '../../../agent/query/services/upstreams.ts';
import type { UpstreamsRoom } from '../../../agent/upstream/upstreams.ts';
import { hasSoa } from './denials.ts';
import type { Got } from './fixture.ts';
import { UselessUpstreams } from './useless-upstreams.ts';

/** TTL of all records of the scripted upstreams; the cache's smallest bound. */
export const TTL_SECONDS = 5;
const TTL_MS = TTL_SECONDS * 1_000;
/** A client's deadline, plus the step of the timer wheel. */
const DEADLINE_MS = 4_000 + 50;
/** TTL of a stored SERVFAIL. */
const SERVFAIL_MS = 1_000;
/** Once all upstreams have sent only quick good answers for this long, every client gets a good answer. */
const RECOVERED_MS = 6_000;
/** A refresh from a good upstream takes less than this. */
const REFRESHED_MS = 200;
/** Limit of queries to an upstream in a second while all are down: trials. */
const MAX_TRIALS = 5;

export type StaleRules = Pick<ServeStaleOptions, 'mode' | 'budgetMs' | 'recheckMs' | 'windowMs'>;

interface Known {
  readonly isPositive: boolean;
  readonly address: string;
  readonly expiresMs: number;
  failedMs: number;
}

/** The state by which a client's answer is judged, as of its query. */
export interface Question {
  readonly name: string;
  readonly askedMs: number;
  readonly wasUsable: boolean;
}

export class OutageModel {
  readonly #now: () => number;
  readonly #isAllDown: () => boolean;
  /** Names whose exchange started while every upstream was down. */
  readonly #beganDown = new Map<string, boolean>();
  readonly #rules: StaleRules;
  readonly #known = new Map<string, Known>();
  readonly #inFlight = new Map<string, number>();
  readonly #lastFailureMs = new Map<string, number>();
  readonly #servfail = new Map<string, { atMs: number; configuration: string }>();
  readonly #useless: UselessUpstreams;
  readonly #trials = new Map<string, number[]>();
  readonly #lastStaleMs = new Map<string, number>();
  #goodSinceMs = Number.POSITIVE_INFINITY;
  /** The upstreams of the current configuration. */
  configuration = '';
  /** Checks made, by kind: a run without a stale answer proves nothing. */
  readonly seen = { fresh: 0, stale: 0, denied: 0, failed: 0, exchanges: 0, trials: 0, useless: 0 };

  /** `isAllDown` returns whether every upstream in use counts as down. */
  constructor(rules: StaleRules, now: () => number, isAllDown: () => boolean) {
    this.#isAllDown = isAllDown;
    this.#rules = rules;
    this.#now = now;
    this.#useless = new UselessUpstreams(now);
  }

  /** Inserts the model between `forward` and the upstreams. */
  watch(room: UpstreamsRoom): Upstreams {
    return {
      group: (options): UpstreamGroup => {
        const group = room.group(options);
        return {
          admits: (clientKey) => group.admits(clientKey),
          exchange: (question, budgetMs) => {
            const name = nameToText(question.name);
            const { configuration } = this;
            this.#begins(name, configuration);
            const exchange = group.exchange(question, budgetMs);
            exchange.then(
              ({ reply }) => this.#brought(name, reply, configuration),
              (error: unknown) => this.#failed(name, error, configuration),
            );
            return exchange;
          },
          release: () => group.release(),
        };
      },
    };
  }

  /** Sets whether all upstreams of the configuration are healthy from now on. */
  upstreamsAreGood(areGood: boolean): void {
    if (!areGood) this.#goodSinceMs = Number.POSITIVE_INFINITY;
    else if (this.#goodSinceMs === Number.POSITIVE_INFINITY) this.#goodSinceMs = this.#now();
  }

  /** Sets whether an upstream is useless from now on: it never sends a usable reply. Also called when its fault changes. */
  behaves(upstream: string, isUseless: boolean): void {
    this.#useless.behaves(upstream, isUseless);
  }

  /** Invariant 6: `up` are the upstreams that count as healthy. */
  judgeHealth(up: readonly string[]): void {
    this.seen.useless += this.#useless.judgeHealth(up);
  }

  /** Invariant 7, for a query that arrives at `upstream`: exchanges that started before it was down may still try it. */
  arrived(upstream: string, name: string): void {
    this.#useless.arrived(upstream, name);
    if (!this.#isAllDown() || this.#beganDown.get(name) !== true) return;
    this.seen.trials++;
    const now = this.#now();
    const recent = [...(this.#trials.get(upstream) ?? []), now].filter((at) => at > now - 1_000);
    this.#trials.set(upstream, recent);
    assert.ok(
      recent.length <= MAX_TRIALS,
      `${recent.length} queries in a second to a dead upstream`,
    );
  }

  asks(name: string): Question {
    const askedMs = this.#now();
    return { name, askedMs, wasUsable: this.#usable(name, askedMs) !== undefined };
  }

  /** Checks a client's answer at the moment of its arrival. */
  got(question: Question, got: Got): void {
    const { name, askedMs } = question;
    const waitedMs = this.#now() - askedMs;
    assert.ok(waitedMs <= DEADLINE_MS, `an answer after ${waitedMs} ms`);
    const isDenial =
      got.rcode === RCODE.NXDOMAIN || (got.rcode === RCODE.NOERROR && hasSoa(got.wire));
    if (got.addresses.length > 0) this.#judgeAddress(question, got);
    else if (isDenial) this.#judgeDenial(name, got);
    else this.#judgeFailure(question, got);
    this.#judgeRecovery(question, got);
    if (got.extended === 3) this.#lastStaleMs.set(name, askedMs);
  }

  /** Forgets the health of all upstreams: the last configuration did not have them, or the process is new. */
  healthIsLearnedAnew(): void {
    this.#trials.clear();
    this.#useless.learnAnew();
  }

  /** A new process with the old one's snapshot: denials, failures and exchanges in flight are forgotten. */
  restarted(): void {
    this.#inFlight.clear();
    this.#servfail.clear();
    this.#lastFailureMs.clear();
    this.#lastStaleMs.clear();
    this.healthIsLearnedAnew();
    for (const [name, known] of this.#known) {
      if (known.isPositive) known.failedMs = Number.NEGATIVE_INFINITY;
      else this.#known.delete(name);
    }
  }

  /** Every exchange has ended. */
  atEnd(): void {
    assert.deepEqual(
      [...this.#inFlight].filter(([, count]) => count > 0),
      [],
    );
  }

  /** Invariant 4. */
  #begins(name: string, configuration: string): void {
    this.seen.exchanges++;
    const now = this.#now();
    assert.equal(this.#inFlight.get(name) ?? 0, 0, 'one exchange in flight for a name');
    this.#inFlight.set(name, 1);
    this.#beganDown.set(name, this.#isAllDown());
    const usable = this.#usable(name, now);
    if (usable !== undefined) {
      assert.ok(now - usable.failedMs >= this.#rules.recheckMs, 'a failure waits for the recheck');
      return;
    }
    const servfail = this.#servfail.get(name);
    if (servfail === undefined || servfail.configuration !== configuration) return;
    assert.ok(now - servfail.atMs >= SERVFAIL_MS, 'a failure is remembered');
  }

  #brought(name: string, reply: Reply, configuration: string): void {
    this.#inFlight.set(name, 0);
    const now = this.#now();
    const { wire, rcode, truncated } = reply;
    const isAnswer = !truncated && (rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN);
    if (!isAnswer) {
      this.#noted(name, now, rcode === RCODE.SERVFAIL ? configuration : undefined);
      return;
    }
    // Records with an NXDOMAIN are aliases.
    const isThere = rcode === RCODE.NOERROR && ancountOf(wire) > 0;
    const address = isThere ? [...wire.subarray(-4)].join('.') : '';
    if (address === '' && !hasSoa(wire)) {
      // It cannot be stored, and removes the answer that it contradicts.
      this.#known.delete(name);
      return;
    }
    const isPositive = address !== '';
    const never = Number.NEGATIVE_INFINITY;
    this.#known.set(name, { isPositive, address, expiresMs: now + TTL_MS, failedMs: never });
    this.#servfail.delete(name);
  }

  #failed(name: string, error: unknown, configuration: string): void {
    this.#inFlight.set(name, 0);
    assert.ok(error instanceof DnsError, String(error));
    this.#noted(name, this.#now(), error.rcode === RCODE.SERVFAIL ? configuration : undefined);
  }

  /** A failure; `remembered` is the configuration that remembers it, if any. */
  #noted(name: string, now: number, remembered: string | undefined): void {
    this.#lastFailureMs.set(name, now);
    const usable = this.#usable(name, now);
    if (usable !== undefined) usable.failedMs = now;
    else if (remembered !== undefined) {
      this.#servfail.set(name, { atMs: now, configuration: remembered });
    }
  }

  #usable(name: string, nowMs: number): Known | undefined {
    const known = this.#known.get(name);
    if (known === undefined || !known.isPositive) return undefined;
    return nowMs < known.expiresMs + this.#rules.windowMs ? known : undefined;
  }

  #judgeAddress({ name, askedMs }: Question, got: Got): void {
    const now = this.#now();
    const known = this.#known.get(name);
    assert.ok(known?.isPositive === true, 'an answer that is not the last known one');
    assert.equal(got.addresses[0], known.address, 'an outdated answer');
    const left = (known.expiresMs - now) / 1_000;
    if (got.extended === undefined) {
      this.seen.fresh++;
      assert.ok(left > 0, 'an expired answer that looks fresh');
      assert.equal(got.ttlSeconds, Math.ceil(left), 'its own TTL');
      return;
    }
    this.seen.stale++;
    assert.equal(got.extended, 3);
    assert.equal(got.ttlSeconds, 30);
    assert.ok(left <= 0, 'a stale answer in place of a fresh one');
    assert.ok(askedMs < known.expiresMs + this.#rules.windowMs, 'a stale answer past its window');
    this.#judgeBudget(name, now - askedMs);
  }

  /** Invariant 2: a stale answer is sent at once after a failure or a spent budget, else when the budget is spent. */
  #judgeBudget(name: string, waitedMs: number): void {
    const { mode, budgetMs, recheckMs } = this.#rules;
    if (mode === 'immediate') {
      assert.equal(waitedMs, 0, 'immediate means at once');
      return;
    }
    assert.ok(waitedMs <= budgetMs, `a client that may get the old answer waited ${waitedMs} ms`);
    const sinceFailureMs =
      this.#now() - (this.#lastFailureMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const isUnderWay = (this.#inFlight.get(name) ?? 0) > 0;
    assert.ok(waitedMs >= budgetMs || sinceFailureMs < recheckMs || isUnderWay, 'stale too soon');
  }

  /** Invariant 3. */
  #judgeDenial(name: string, got: Got): void {
    this.seen.denied++;
    const known = this.#known.get(name);
    assert.ok(known?.isPositive === false, 'a denial that is not the last known one');
    assert.ok(this.#now() < known.expiresMs, 'a denial past its TTL');
    assert.equal(got.extended, undefined);
  }

  /** Invariant 1. An answer that cannot be stored (an empty one) has removed the known one, so it does not count here. */
  #judgeFailure({ name, wasUsable }: Question, got: Got): void {
    this.seen.failed++;
    const isUsable = this.#usable(name, this.#now()) !== undefined;
    assert.ok(!(wasUsable && isUsable), `rcode ${got.rcode} in place of a usable answer`);
  }

  /** Invariant 5: recovery is immediate. */
  #judgeRecovery({ name, askedMs }: Question, got: Got): void {
    if (askedMs < this.#goodSinceMs + RECOVERED_MS) return;
    // `immediate` sends the old answer once; then the refreshed answer lasts.
    const sinceMs = askedMs - (this.#lastStaleMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const isRefreshed = sinceMs >= REFRESHED_MS && sinceMs < TTL_MS - REFRESHED_MS;
    if (this.#rules.mode === 'immediate' && !isRefreshed) return;
    assert.ok(
      got.addresses.length > 0 && got.extended === undefined,
      'the outage is over, but not for this name',
    );
  }
}
