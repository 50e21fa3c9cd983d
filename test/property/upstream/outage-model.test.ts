/**
 * Random outages against the real chain: routing, cache, forward and upstream room on a fake clock, with name servers
 * with the behaviour of the sequence. `test/support/replay/model.ts` asserts the invariants at every step.
 *
 * NODENS_MODEL_SECONDS is the duration in seconds (default 20), NODENS_MODEL_SEED and NODENS_MODEL_PATH repeat a case.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { it } from 'node:test';
import fc from 'fast-check';
import { ReplayFixture } from '../../support/replay/fixture.ts';
import { OutageModel, type StaleRules, TTL_SECONDS } from '../../support/replay/model.ts';
import { type Behaviour, GOOD, STATES, type State } from '../../support/replay/upstream.ts';

const SECONDS = Number(process.env.NODENS_MODEL_SECONDS ?? 20);
const MAX_RUNS = 1_000_000;
const QUICK_MS = 50;

const USELESS: readonly State[] = [
  ...(['drop', 'refuse', 'reset', 'servfail'] as const),
  ...(['garbage', 'wrong', 'malformed', 'unrelated'] as const),
];

const NAMES = ['a.example.org.', 'b.example.org.', 'c.example.org.'];
const ADDRESSES = ['192.0.2.53', '192.0.2.54'];
const FORWARDS = ['192.0.2.53', '192.0.2.54', '192.0.2.53 192.0.2.54'];
const RULES: readonly StaleRules[] = [
  { mode: 'verify', budgetMs: 200, recheckMs: 1_000, windowMs: 20_000 },
  { mode: 'immediate', budgetMs: 0, recheckMs: 1_000, windowMs: 20_000 },
];

type Step =
  | { readonly do: 'ask'; readonly name: string; readonly times: number }
  | { readonly do: 'askMany' }
  | { readonly do: 'wait'; readonly ms: number }
  | {
      readonly do: 'upstream';
      readonly at: string;
      readonly state: State;
      readonly afterMs: number;
    }
  | { readonly do: 'reload'; readonly to: string }
  | { readonly do: 'restart'; readonly downMs: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      name: fc.constantFrom(...NAMES),
      times: fc.constantFrom(1, 1, 1, 20),
    }),
    weight: 6,
  },
  { arbitrary: fc.constant({ do: 'askMany' as const }), weight: 2 },
  {
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 50, 150, 200, 999, 1_000, 4_999, 5_000, 8_000, 30_000),
    }),
    weight: 5,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('upstream' as const),
      at: fc.constantFrom(...ADDRESSES),
      state: fc.constantFrom(...STATES, 'good', 'good', 'drop'),
      afterMs: fc.constantFrom(1, QUICK_MS, 199, 250, 1_500, 5_000),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('reload' as const),
      to: fc.constantFrom(...FORWARDS),
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      downMs: fc.constantFrom(0, 3_000, 15_000),
    }),
    weight: 1,
  },
);

function corefile({ mode }: StaleRules, forward: string): string {
  const stale = mode === 'verify' ? 'verify 200ms' : 'immediate';
  return `.:53 {
    cache {
        serve_stale 20s ${stale}
    }
    forward . ${forward}
}
`;
}

class Run {
  readonly model: OutageModel;
  #fixture: ReplayFixture;
  readonly #rules: StaleRules;
  readonly #behaviours = new Map<string, Behaviour>();
  #forward = FORWARDS[0] as string;
  #version = 0;
  #unanswered = 0;
  #names = 0;
  /** An error that the model threw within a callback of other code. */
  #fault: unknown;

  constructor(rules: StaleRules, random: () => number) {
    this.#rules = rules;
    const model = new OutageModel(
      rules,
      () => this.#fixture.clock.nowMs(),
      () => this.#isAllDown(),
    );
    this.model = model;
    model.configuration = this.#forward;
    const text = corefile(rules, this.#forward);
    this.#fixture = new ReplayFixture(text, { random, watch: (room) => model.watch(room) });
    this.#listen();
    for (const address of ADDRESSES) this.#set(address, GOOD);
  }

  #listen(): void {
    const { upstream } = this.#fixture;
    upstream.addressFor = () => {
      const version = ++this.#version;
      return [10, (version >> 16) & 0xff, (version >> 8) & 0xff, version & 0xff];
    };
    upstream.onArrival = ({ to, nameText }) => {
      this.#guarded(() => this.model.arrived(to, nameText));
    };
  }

  #isAllDown(): boolean {
    return this.#fixture.room.summary().every(({ state }) => state === 'down');
  }

  async step(next: Step): Promise<void> {
    switch (next.do) {
      case 'ask':
        for (let i = 0; i < next.times; i++) this.#ask(next.name);
        await this.#fixture.clock.advance(0);
        break;
      case 'askMany':
        // Separate names: one broken name proves little about an upstream.
        for (let i = 0; i < 12; i++) this.#ask(`n${this.#names++}.example.org.`);
        await this.#fixture.clock.advance(0);
        break;
      case 'wait':
        await this.#fixture.clock.advance(next.ms);
        break;
      case 'upstream':
        this.#set(next.at, { ...GOOD, state: next.state, afterMs: next.afterMs });
        break;
      case 'reload':
        this.#forward = next.to;
        this.model.configuration = next.to;
        this.model.healthIsLearnedAnew();
        this.#fixture.configure(corefile(this.#rules, next.to));
        this.#judgeUpstreams();
        break;
      case 'restart':
        this.#fixture = this.#fixture.restarted(next.downMs);
        this.#unanswered = 0;
        this.model.restarted();
        this.#listen();
    }
    const healthy = this.#fixture.room.summary().filter(({ state }) => state === 'up');
    this.model.judgeHealth(healthy.map(({ to }) => to.replace(/:53$/, '')));
    this.#rethrow();
  }

  async finish(): Promise<void> {
    await this.#fixture.clock.advance(10_000);
    this.#rethrow();
    assert.equal(this.#unanswered, 0, 'a client without an answer');
    this.model.atEnd();
    assert.equal(this.#fixture.cache.stats().inflightQueries, 0);
    assert.equal(this.#fixture.metrics.value('coredns_panics_total'), 0);
    await this.#fixture.close();
    // Replies to queries that have ended.
    await this.#fixture.clock.advance(10_000);
    assert.equal(this.#fixture.clock.pendingTimers, 0, 'a pending timer');
  }

  #ask(name: string): void {
    const question = this.model.asks(name);
    this.#unanswered++;
    this.#fixture.ask({ name, type: 'A' }, (got) => {
      this.#unanswered--;
      this.#guarded(() => this.model.got(question, got));
    });
  }

  #set(address: string, behaviour: Behaviour): void {
    const full = { ...behaviour, ttlSeconds: TTL_SECONDS };
    this.#behaviours.set(address, full);
    this.#fixture.upstream.set(address, full);
    this.model.behaves(address, USELESS.includes(behaviour.state));
    this.#judgeUpstreams();
  }

  #judgeUpstreams(): void {
    const used = this.#forward.split(' ').map((address) => this.#behaviours.get(address));
    this.model.upstreamsAreGood(
      used.every((each) => each?.state === 'good' && each.afterMs <= QUICK_MS),
    );
  }

  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#fault ??= error;
    }
  }

  #rethrow(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }
}

/** The same numbers for the same case: mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

for (const rules of RULES) {
  it(`keeps the invariants of an outage, serve_stale ${rules.mode}`, async (t) => {
    const { NODENS_MODEL_SEED: givenSeed, NODENS_MODEL_PATH: path } = process.env;
    const seed = givenSeed === undefined ? randomInt(2 ** 31) : Number(givenSeed);
    const total = {
      cases: 0,
      fresh: 0,
      stale: 0,
      denied: 0,
      failed: 0,
      exchanges: 0,
      trials: 0,
      useless: 0,
    };
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
      fc.nat(),
      async (steps, salt) => {
        const run = new Run(rules, seeded(salt));
        for (const next of steps) await run.step(next);
        await run.finish();
        total.cases++;
        for (const [kind, count] of Object.entries(run.model.seen)) {
          total[kind as keyof typeof total] += count;
        }
      },
    );
    t.diagnostic(`seed ${seed}`);
    await fc.assert(property, {
      seed,
      ...(path === undefined ? {} : { path }),
      numRuns: MAX_RUNS,
      interruptAfterTimeLimit: (SECONDS * 1_000) / RULES.length,
      markInterruptAsFailure: false,
    });
    t.diagnostic(
      Object.entries(total)
        .map(([kind, count]) => `${count} ${kind}`)
        .join(', '),
    );
    for (const kind of ['fresh', 'stale', 'denied', 'failed', 'exchanges'] as const) {
      assert.ok(path !== undefined || total[kind] > 0, `no case in which something was ${kind}`);
    }
  });
}
