import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NoAnswerError } from '../../../../init/endpoints/ask.ts';
import { EndpointFollower } from '../../../../init/endpoints/follow.ts';
import type { Found } from '../../../../init/endpoints/lookup.ts';
import { type Endpoints, NO_ENDPOINTS } from '../../../../init/endpoints/set.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const setOf = (...addresses: string[]): Endpoints => {
  const list = addresses.map((address) => ({ address, port: 53 }));
  return { udp: list, tcp: list };
};
const ONE = setOf('10.2.0.1');
const TWO = setOf('10.2.0.1', '10.2.0.2');

/** A node whose DNS answers `dns.found`; undefined: no answer. */
function setup(inKernel: Endpoints = NO_ENDPOINTS) {
  const clock = new FakeClock();
  const dns: { found: Found | undefined; asked: number; known: readonly unknown[] } = {
    ...{ found: { endpoints: TWO, ttlSeconds: 30 }, asked: 0, known: [] },
  };
  const rules = { changes: 0, work: true };
  const forgotten: Endpoints[] = [];
  const pass = async (): Promise<boolean> => {
    rules.changes++;
    return rules.work;
  };
  const follower = new EndpointFollower({
    ...{ clock, pass },
    lookup: async (known) => {
      dns.asked++;
      dns.known = known;
      if (dns.found === undefined) throw new NoAnswerError('dns-pods', []);
      return dns.found;
    },
    inKernel: async () => inKernel,
    removeFlows: async (gone) => void forgotten.push(gone),
  });
  return { clock, dns, rules, forgotten, follower, pass };
}

describe('following endpoints', () => {
  it('sends no query before endpoints are needed, and asks at once when they are', async () => {
    const { clock, dns, rules, follower } = setup();
    await follower.adopt();
    await clock.advance(60_000);
    assert.equal(dns.asked, 0);
    follower.want();
    follower.want();
    await clock.advance(0);
    assert.deepEqual([dns.asked, rules.changes, follower.known, follower.reason], [1, 1, TWO, '']);
  });

  it('asks again when the TTL ends, within bounds, and often while clients need it', async () => {
    const { clock, dns, follower } = setup();
    const askedIn = async (ms: number): Promise<number> => {
      const before = dns.asked;
      await clock.advance(ms);
      return dns.asked - before;
    };
    follower.want();
    await clock.advance(0);
    assert.equal(await askedIn(60_000), 30);
    follower.use(false);
    await clock.advance(2_000);
    assert.equal(await askedIn(60_000), 2);
    dns.found = { endpoints: TWO, ttlSeconds: 0 };
    await clock.advance(30_000);
    assert.equal(await askedIn(60_000), 12);
    dns.found = { endpoints: TWO, ttlSeconds: 86_400 };
    await clock.advance(5_000);
    assert.equal(await askedIn(60_000), 2);
    follower.use(true);
    assert.equal(await askedIn(0), 1);
    follower.stop();
    assert.equal(await askedIn(600_000), 0);
    assert.equal(clock.pendingTimers, 0);
  });

  it('removes flows to a missing endpoint after the rules change, and only once', async () => {
    const { clock, dns, rules, forgotten, follower } = setup();
    follower.want();
    await clock.advance(0);
    // Flows from before the first rule are removed, too.
    assert.deepEqual(forgotten, [NO_ENDPOINTS]);
    dns.found = { endpoints: ONE, ttlSeconds: 30 };
    rules.work = false;
    await clock.advance(2_000);
    assert.equal(forgotten.length, 1);
    rules.work = true;
    await clock.advance(10_000);
    assert.deepEqual(forgotten.slice(1), [setOf('10.2.0.2')]);
    assert.equal(rules.changes, 3);
  });

  it('keeps and asks the known endpoints for ten minutes if no server answers', async () => {
    const { clock, dns, rules, forgotten, follower } = setup();
    follower.want();
    await clock.advance(0);
    dns.found = undefined;
    await clock.advance(600_000);
    assert.deepEqual([follower.known, dns.known], [TWO, TWO.tcp]);
    assert.match(follower.reason, /no answer/);
    assert.equal(rules.changes, 2);
    await clock.advance(5_000);
    assert.deepEqual(follower.known, NO_ENDPOINTS);
    assert.deepEqual(forgotten.at(-1), TWO);
  });

  it('has no endpoints, and a reason, as soon as DNS says that there are none', async () => {
    const { clock, dns, follower } = setup();
    follower.want();
    await clock.advance(0);
    dns.found = { endpoints: NO_ENDPOINTS, ttlSeconds: 0, reason: 'dns-pods has no endpoints' };
    await clock.advance(2_000);
    assert.deepEqual(
      [follower.known, follower.reason],
      [NO_ENDPOINTS, 'dns-pods has no endpoints'],
    );
  });

  it('uses the endpoints that an earlier init left, until DNS answers', async () => {
    const { clock, dns, rules, forgotten, follower } = setup(TWO);
    dns.found = undefined;
    await follower.adopt();
    follower.want();
    await clock.advance(0);
    assert.deepEqual([follower.known, forgotten], [TWO, []]);
    dns.found = { endpoints: ONE, ttlSeconds: 30 };
    await clock.advance(5_000);
    assert.deepEqual([follower.known, forgotten], [ONE, [setOf('10.2.0.2')]]);
    assert.ok(rules.changes > 0);
  });

  it('changes no rules when an answer arrives after its end', async () => {
    const { clock, dns, rules, pass } = setup();
    const late = Promise.withResolvers<void>();
    const waiting = new EndpointFollower({
      ...{ clock, pass },
      lookup: () => late.promise.then((): Found => ({ endpoints: TWO, ttlSeconds: 1 })),
      inKernel: async () => NO_ENDPOINTS,
      removeFlows: async () => undefined,
    });
    waiting.want();
    await clock.advance(0);
    waiting.stop();
    late.resolve();
    await clock.advance(60_000);
    assert.deepEqual([waiting.known, rules.changes, dns.asked], [NO_ENDPOINTS, 0, 0]);
  });
});
