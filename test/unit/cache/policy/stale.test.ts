import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DnsError, DropQuery } from '../../../../agent/base/errors.ts';
import type { NewResponse } from '../../../../agent/dns/build.ts';
import { EDE, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { Query } from '../../../../agent/query/query.ts';
import { settle } from '../../../support/fake-clock.ts';
import {
  addressRecord,
  Bench,
  IMMEDIATE,
  lastByte,
  nodata,
  nxdomain,
  servfail,
  VERIFY,
} from '../harness.ts';

const SECOND = 1_000;

/** A bench with one entry of 5 s whose TTL has just expired. */
async function expired(serveStale = IMMEDIATE): Promise<Bench> {
  const bench = new Bench({ serveStale });
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, 1)] });
  await bench.ask();
  await bench.services.clock.advance(6 * SECOND);
  bench.asked.length = 0;
  return bench;
}

/** Makes the upstream answer `response` after `delayMs`. */
function slow(bench: Bench, delayMs: number, response: Partial<NewResponse>): void {
  const { clock } = bench.services;
  bench.upstream = (query) =>
    new Promise((resolve) => {
      clock.after(delayMs, () => resolve(bench.reply(query, response)));
    });
}

function failing(bench: Bench, rcode: number = RCODE.SERVFAIL): void {
  bench.upstream = () => Promise.reject(new DnsError(rcode, 'upstream is down'));
}

const isStale = (answer: { ttlOverrideSeconds: number | undefined }): boolean =>
  answer.ttlOverrideSeconds !== undefined;

describe('stale answers, immediate', () => {
  it('are sent at once, with their TTL and extended error, while one refresh runs', async () => {
    const bench = await expired();
    slow(bench, 50, { answer: [addressRecord(60, 2)] });
    for (let i = 0; i < 3; i++) {
      const answer = bench.hit();
      assert.equal(lastByte(answer), 1);
      assert.equal(answer.ttlOverrideSeconds, 30);
      assert.equal(answer.extended?.code, EDE.STALE_ANSWER);
    }
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.asked[0]?.isInternal, true);
    assert.equal(bench.count('coredns_cache_served_stale_total'), 3);
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'immediate' }), 3);
    assert.equal(bench.count('coredns_cache_prefetch_total'), 1);
    await bench.services.clock.advance(50);
    const fresh = bench.hit();
    assert.equal(lastByte(fresh), 2);
    assert.equal(isStale(fresh), false);
  });

  it('are not refreshed again before the recheck interval has passed', async () => {
    const bench = await expired();
    failing(bench);
    bench.hit();
    await settle();
    bench.hit();
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'recheck' }), 1);
    await bench.services.clock.advance(SECOND);
    bench.hit();
    assert.equal(bench.asked.length, 2);
  });

  it('end with the stale window', async () => {
    const bench = await expired({ ...IMMEDIATE, windowMs: 10_500 });
    failing(bench);
    await bench.services.clock.advance(9_499);
    assert.equal(isStale(bench.hit()), true);
    await bench.services.clock.advance(1);
    await assert.rejects(async () => bench.ask(), { rcode: RCODE.SERVFAIL });
  });

  it('are never denials', async () => {
    for (const response of [nxdomain(5), nodata(5)]) {
      const bench = new Bench({ serveStale: IMMEDIATE });
      bench.upstream = (query) => bench.reply(query, response);
      await bench.ask();
      await bench.services.clock.advance(5 * SECOND);
      failing(bench);
      await assert.rejects(async () => bench.ask());
    }
  });

  it('are replaced by an NXDOMAIN, and by an empty answer that cannot be stored', async () => {
    for (const [response, rcode] of [
      [nxdomain(60), RCODE.NXDOMAIN],
      [{}, RCODE.NOERROR],
    ] as const) {
      const bench = await expired();
      bench.upstream = (query) => bench.reply(query, response);
      assert.equal(isStale(bench.hit()), true);
      const answer = await bench.ask();
      assert.equal(answer.rcode, rcode);
      assert.equal(answer.ttlOffsets.length, rcode === RCODE.NXDOMAIN ? 1 : 0);
      assert.equal(bench.cache.stats().answers, 0);
    }
  });

  it('are refreshed with the same question, EDNS options and depth', async () => {
    const bench = await expired();
    const question = {
      name: nameFromText('opt.example.org.'),
      type: TYPE.A,
      dnssecOk: true,
      checkingDisabled: true,
      server: { index: 0, label: 'dns://127.0.0.1:53' },
      transport: 'tcp' as const,
      depth: 3,
      upstreamOptions: Buffer.from('0008000400010000', 'hex'),
    };
    const asked = (): Query => Query.internal(question, bench.services.clock.nowMs());
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, 1)] });
    await bench.block.handle(asked(), bench.next);
    await bench.services.clock.advance(6 * SECOND);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, 2)] });
    await bench.block.handle(asked(), bench.next);
    const refresh = bench.asked.at(-1) as Query;
    assert.equal(refresh.keyIn(1), asked().keyIn(1));
    assert.deepEqual([refresh.depth, refresh.transport], [3, 'tcp']);
    assert.equal(lastByte(await bench.block.handle(asked(), bench.next)), 2);
  });

  it('log an internal fault', async () => {
    const bench = await expired();
    bench.upstream = () => Promise.reject(new TypeError('bug'));
    bench.hit();
    await settle();
    assert.equal(bench.services.log.records[0]?.message, 'refresh failed: bug');
  });
});

describe('stale answers, verify', () => {
  it('wait for the fresh answer, which is sent if it arrives within the budget', async () => {
    const bench = await expired(VERIFY);
    slow(bench, 199, { answer: [addressRecord(60, 2)] });
    const asks = [bench.waiting(), bench.waiting()];
    await bench.services.clock.advance(199);
    for (const answer of await Promise.all(asks)) assert.equal(lastByte(answer), 2);
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.count('coredns_cache_served_stale_total'), 0);
  });

  it('are sent when the budget is spent; the late answer is stored all the same', async () => {
    const bench = await expired(VERIFY);
    slow(bench, 500, { answer: [addressRecord(60, 2)] });
    let answered = false;
    const ask = Promise.resolve(bench.ask()).then((answer) => {
      answered = true;
      return answer;
    });
    await bench.services.clock.advance(199);
    assert.equal(answered, false);
    await bench.services.clock.advance(1);
    assert.equal(isStale(await ask), true);
    assert.equal(isStale(bench.hit()), true, 'no client waits for the budget twice');
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'budget' }), 2);
    await bench.services.clock.advance(300);
    assert.equal(lastByte(bench.hit()), 2);
    assert.equal(bench.asked.length, 1);
  });

  it('are sent as soon as the upstream query has failed, whatever the failure', async () => {
    const down: ((bench: Bench) => void)[] = [
      (bench) => failing(bench),
      (bench) => failing(bench, RCODE.REFUSED),
      (bench) => slow(bench, 0, servfail),
      (bench) => slow(bench, 0, { rcode: RCODE.REFUSED }),
      (bench) => slow(bench, 0, { rcode: RCODE.FORMERR }),
      (bench) => {
        bench.upstream = (query) => bench.reply(query, servfail);
      },
      (bench) => {
        bench.upstream = () => {
          throw new DnsError(RCODE.SERVFAIL, 'down');
        };
      },
    ];
    for (const [index, breakIt] of down.entries()) {
      const bench = await expired(VERIFY);
      breakIt(bench);
      const ask = bench.ask();
      await bench.services.clock.advance(0);
      assert.equal(isStale(await ask), true, `case ${index}`);
      assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'failure' }), 1);
      assert.equal(isStale(bench.hit()), true);
      assert.equal(bench.asked.length, 1);
      assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'recheck' }), 1);
      assert.equal(bench.cache.stats().denials, 0, 'a failure is not stored over the answer');
    }
  });

  it('are counted for each client that waited; a fresh answer counts as a miss for each', async () => {
    const bench = await expired(VERIFY);
    const misses = bench.count('coredns_cache_misses_total');
    slow(bench, 10, servfail);
    const failing = [bench.waiting(), bench.waiting(), bench.waiting()];
    await bench.services.clock.advance(10);
    assert.deepEqual((await Promise.all(failing)).map(isStale), [true, true, true]);
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'failure' }), 3);
    assert.equal(bench.count('coredns_cache_misses_total'), misses);
    await bench.services.clock.advance(5_000);
    slow(bench, 10, { answer: [addressRecord(5)] });
    const good = [bench.waiting(), bench.waiting()];
    await bench.services.clock.advance(10);
    assert.deepEqual((await Promise.all(good)).map(isStale), [false, false]);
    assert.equal(bench.count('nodens_cache_stale_served_total', { reason: 'failure' }), 3);
    assert.equal(bench.count('coredns_cache_misses_total'), misses + 2);
  });

  it('leave no timer behind', async () => {
    const bench = await expired(VERIFY);
    const before = bench.services.clock.pendingTimers;
    bench.upstream = async (query) => bench.reply(query, { answer: [addressRecord(60, 2)] });
    await bench.ask();
    assert.equal(bench.services.clock.pendingTimers, before);
  });

  it('do not answer a dropped query', async () => {
    const bench = await expired(VERIFY);
    bench.upstream = () => Promise.reject(new DropQuery('dropped by acl'));
    await assert.rejects(async () => bench.ask(), DropQuery);
  });
});
