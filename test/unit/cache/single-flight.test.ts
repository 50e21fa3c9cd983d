import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DnsError } from '../../../agent/base/errors.ts';
import { EDE, RCODE } from '../../../agent/dns/iana.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { settle } from '../../support/fake-clock.ts';
import { addressRecord, Bench, IMMEDIATE, lastByte, servfail, VERIFY } from './harness.ts';

const SECOND = 1_000;

/** Answers with `byte` as the last byte of the address when released. */
function held(bench: Bench, byte = 1) {
  const releases: (() => void)[] = [];
  bench.upstream = (query) =>
    new Promise((resolve) => {
      releases.push(() => resolve(bench.reply(query, { answer: [addressRecord(60, byte)] })));
    });
  return releases;
}

describe('single flight', () => {
  it('sends one upstream query for all clients with the same question, and gives all the same answer', async () => {
    const bench = new Bench();
    const releases = held(bench);
    const asks = Array.from({ length: 100 }, () => bench.waiting());
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.cache.stats().inflightQueries, 1);
    releases[0]?.();
    const answers = await Promise.all(asks);
    assert.equal(new Set(answers).size, 1);
    assert.equal(bench.count('nodens_cache_coalesced_total'), 99);
    assert.equal(bench.cache.stats().inflightQueries, 0);
  });

  it('gives all the same failure', async () => {
    const bench = new Bench();
    bench.upstream = () => Promise.reject(new DnsError(RCODE.SERVFAIL, 'down'));
    const asks = [bench.waiting(), bench.waiting()];
    for (const outcome of await Promise.allSettled(asks)) assert.equal(outcome.status, 'rejected');
    assert.equal(bench.asked.length, 1);
  });

  it('stops waiting after the timeout: the key is free again, and a late answer is stored', async () => {
    const bench = new Bench({ servfailMs: 0 });
    const releases = held(bench);
    const ask = assert.rejects(async () => bench.ask(), { rcode: RCODE.SERVFAIL });
    await bench.services.clock.advance(6 * SECOND);
    await ask;
    assert.equal(bench.cache.stats().inflightQueries, 0);
    const again = bench.ask();
    assert.equal(bench.asked.length, 2);
    releases[0]?.();
    await settle();
    assert.equal(lastByte(bench.hit()), 1);
    releases[1]?.();
    await again;
    assert.equal(bench.cache.stats().inflightQueries, 0);
  });

  it('remembers that the upstream query failed, with the reason of the failure', async () => {
    const bench = new Bench();
    const extended = { code: EDE.NETWORK_ERROR, text: 'refused' };
    bench.upstream = () => Promise.reject(new DnsError(RCODE.SERVFAIL, 'down', extended));
    await assert.rejects(async () => bench.ask());
    const remembered = bench.hit();
    assert.equal(remembered.rcode, RCODE.SERVFAIL);
    assert.deepEqual(remembered.extended, extended);
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.count('coredns_cache_hits_total', { type: 'denial' }), 1);
  });

  it('does not remember that one client was refused or that a plugin is broken', async () => {
    for (const error of [new DnsError(RCODE.REFUSED, 'full'), new TypeError('bug')]) {
      const bench = new Bench();
      bench.upstream = () => Promise.reject(error);
      await assert.rejects(async () => bench.ask(), error);
      await assert.rejects(async () => bench.ask(), error);
      assert.equal(bench.asked.length, 2);
    }
  });
});

describe('prefetch', () => {
  const prefetch = { amount: 3, windowMs: 60 * SECOND, percentage: 10 };

  /** A name with a TTL of 100 s, asked `hits` times after the first. */
  async function popular(hits: number, random = () => 0): Promise<Bench> {
    const bench = new Bench({ prefetch }, { random });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(100, 1)] });
    await bench.ask();
    for (let i = 0; i < hits; i++) bench.hit();
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(100, 2)] });
    return bench;
  }

  it('refreshes a popular name when the configured share of its TTL is left', async () => {
    const bench = await popular(1);
    await bench.services.clock.advance(50 * SECOND);
    bench.hit();
    await bench.services.clock.advance(39_999);
    bench.hit();
    assert.equal(bench.asked.length, 1);
    await bench.services.clock.advance(1);
    assert.equal(lastByte(bench.hit()), 1);
    assert.equal(bench.asked.length, 2);
    assert.equal(lastByte(bench.hit()), 2);
    assert.equal(bench.count('coredns_cache_prefetch_total'), 1);
  });

  it('forgets hits that are too far apart', async () => {
    const bench = await popular(10);
    await bench.services.clock.advance(90 * SECOND);
    bench.hit();
    bench.hit();
    assert.equal(bench.asked.length, 1);
    bench.hit();
    assert.equal(bench.asked.length, 2);
  });

  it('is delayed at random, so that nodes do not refresh at the same time', async () => {
    const bench = await popular(3, () => 0.8);
    await bench.services.clock.advance(45 * SECOND);
    bench.hit();
    await bench.services.clock.advance(48_999);
    bench.hit();
    assert.equal(bench.asked.length, 1);
    await bench.services.clock.advance(1);
    bench.hit();
    assert.equal(bench.asked.length, 2);
  });

  it('runs once at a time, and after a failure not before the recheck', async () => {
    const bench = await popular(3);
    const { clock } = bench.services;
    bench.upstream = (query) =>
      new Promise((resolve) => {
        clock.after(2 * SECOND, () => resolve(bench.reply(query, servfail)));
      });
    await clock.advance(50 * SECOND);
    bench.hit();
    await clock.advance(40 * SECOND);
    for (let i = 0; i < 5; i++) bench.hit();
    assert.equal(bench.asked.length, 2);
    await clock.advance(2 * SECOND);
    bench.hit();
    assert.equal(bench.asked.length, 2);
    await clock.advance(1 * SECOND);
    assert.equal(lastByte(bench.hit()), 1);
    assert.equal(bench.asked.length, 3);
  });

  it('passes the popularity of the entry to the new one', async () => {
    const bench = await popular(3);
    await bench.services.clock.advance(50 * SECOND);
    bench.hit();
    await bench.services.clock.advance(40 * SECOND);
    bench.hit();
    await bench.services.clock.advance(45 * SECOND);
    bench.hit();
    await bench.services.clock.advance(45 * SECOND);
    bench.hit();
    assert.equal(bench.asked.length, 3);
  });
});

describe('background refreshes', () => {
  const NAMES = Array.from({ length: 300 }, (_, i) => `n${i}.example.org.`);

  it('are bounded by a rate; a postponed name is answered stale and refreshed later', async () => {
    const bench = new Bench({ serveStale: IMMEDIATE });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5)] });
    for (const name of NAMES) await bench.ask({ name });
    await bench.services.clock.advance(6 * SECOND);
    bench.asked.length = 0;
    bench.upstream = () => Promise.withResolvers<Answer>().promise;
    for (const name of NAMES) assert.equal(bench.hit({ name }).ttlOverrideSeconds, 30);
    assert.equal(bench.asked.length, 200);
    assert.equal(bench.count('nodens_cache_refreshes_deferred_total'), 100);
    assert.equal(bench.count('coredns_cache_prefetch_total'), 200);
    await bench.services.clock.advance(SECOND / 4);
    for (const name of NAMES) bench.hit({ name });
    assert.equal(bench.asked.length, 250);
  });
});

describe('over the limit of concurrent queries', () => {
  const overload = (): Promise<Answer> =>
    Promise.reject(new DnsError(RCODE.SERVFAIL, 'too many', { code: EDE.OTHER, text: 'too many' }));

  it('an expired answer is sent without waiting; an unknown name gets SERVFAIL with the reason', async () => {
    const bench = new Bench({ serveStale: VERIFY });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5)] });
    await bench.ask();
    await bench.services.clock.advance(6 * SECOND);
    bench.upstream = overload;
    const first = bench.waiting();
    await settle();
    assert.equal((await first).extended?.code, EDE.STALE_ANSWER);
    assert.equal(bench.hit().extended?.code, EDE.STALE_ANSWER);
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'failure' }), 1);
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'recheck' }), 1);
    await assert.rejects(bench.waiting({ name: 'new.example.org.' }), {
      extended: { code: EDE.OTHER, text: 'too many' },
    });
  });
});
