/**
 * `nxdomain_probe` against a model of a zone whose names come and go: a client gets NXDOMAIN only for a name that the
 * server denied within the time that a denial lives.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { RCODE, TYPE } from '../../agent/dns/iana.ts';
import { servfail } from '../unit/cache/harness.ts';
import { Cluster, DENIAL_SECONDS, ON, ZONE } from '../unit/cache/probe/cluster.ts';

/** A pattern is below a name that always exists: no server knows which names are below two that it denies. */
const PATTERNS = [`tpl.${ZONE}`, `com.default.svc.${ZONE}`];
const ABOVE = ['com', 'tpl', 'one.svc', 'com.default.svc'];
const HOSTS = ['a', 'b', 'a.b'];
const NAMES = [
  ...ABOVE.map((above) => `${above}.${ZONE}`),
  ...ABOVE.flatMap((above) => HOSTS.map((host) => `${host}.${above}.${ZONE}`)),
];
/** A round trip, and the time that a question may be held before it. */
const SLACK_MS = 120;

type Step =
  | { readonly do: 'ask'; readonly name: string; readonly type: number; readonly dnssecOk: boolean }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'add' | 'remove'; readonly name: string }
  | { readonly do: 'upstream'; readonly roundTripMs: number; readonly fails: boolean };

const name = fc.constantFrom(...NAMES);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      name,
      type: fc.constantFrom(TYPE.A, TYPE.AAAA),
      dnssecOk: fc.boolean(),
    }),
    weight: 60,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 1, 3, 19, 100, 300, 500, 1_000, 4_000, 5_000),
    }),
    weight: 40,
  },
  // What is known of names above is forgotten.
  {
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constant(600_000) }),
    weight: 1,
  },
  {
    arbitrary: fc.record({ do: fc.constantFrom('add' as const, 'remove' as const), name }),
    weight: 30,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('upstream' as const),
      roundTripMs: fc.constantFrom(0, 1, 5, 15, 50),
      fails: fc.boolean(),
    }),
    weight: 10,
  },
);

class Run {
  readonly cluster = new Cluster(ON, Math.random);
  readonly #pending = new Set<Promise<void>>();
  /** For each name that exists: since when. */
  readonly #since = new Map<string, number>();
  #fails = false;
  denials = 0;

  constructor(patterns: readonly string[], deniesEmpty: boolean) {
    const { bench, zone } = this.cluster;
    zone.deniesEmpty = deniesEmpty;
    for (const pattern of patterns) zone.answerBelow(pattern);
    bench.upstream = (query) =>
      this.#fails ? bench.reply(query, servfail) : this.cluster.answer(query);
    this.#look();
  }

  async run(step: Step): Promise<void> {
    const { zone, bench } = this.cluster;
    switch (step.do) {
      case 'ask':
        return this.#ask(step.name, step.type, step.dnssecOk);
      case 'wait':
        return bench.services.clock.advance(step.ms);
      case 'add':
      case 'remove':
        zone[step.do](step.name);
        return this.#look();
      case 'upstream':
        this.cluster.roundTripMs = step.roundTripMs;
        this.#fails = step.fails;
    }
  }

  /** Every question has an answer, and nothing is left behind. */
  async finish(): Promise<void> {
    const { clock, ledger } = this.cluster.bench.services;
    await clock.advance(10_000);
    await Promise.all(this.#pending);
    assert.equal(ledger.usedBytes, 0);
    this.cluster.bench.cache.close();
    assert.equal(clock.pendingTimers, 0);
  }

  #look(): void {
    const now = this.cluster.bench.services.clock.nowMs();
    for (const each of NAMES) {
      if (this.cluster.zone.of(each) === 'denied') this.#since.delete(each);
      else if (!this.#since.has(each)) this.#since.set(each, now);
    }
  }

  #ask(asked: string, type: number, dnssecOk: boolean): void {
    const { bench } = this.cluster;
    const answer = (async () => bench.ask({ name: asked, type, dnssecOk }))();
    const checked = answer.then(({ rcode }) => {
      if (rcode !== RCODE.NXDOMAIN) return;
      this.denials++;
      const existsMs = bench.services.clock.nowMs() - (this.#since.get(asked) ?? Infinity);
      assert.ok(existsMs <= DENIAL_SECONDS * 1_000 + SLACK_MS, `${asked}: ${existsMs} ms`);
    });
    this.#pending.add(checked);
    // `finish` reports a failure.
    checked.catch(() => undefined);
  }
}

it('a name that exists is denied no longer than a denial lives', async () => {
  let denials = 0;
  const patterns = fc.subarray(PATTERNS);
  await fc.assert(
    fc.asyncProperty(
      patterns,
      fc.boolean(),
      fc.array(step, { maxLength: 60, size: 'max' }),
      async (chosen, deniesEmpty, steps) => {
        const run = new Run(chosen, deniesEmpty);
        for (const each of steps) await run.run(each);
        await run.finish();
        denials += run.denials;
      },
    ),
    { numRuns: 500, interruptAfterTimeLimit: 20_000 },
  );
  assert.ok(denials > 100, `${denials} denials: too few to tell`);
});
