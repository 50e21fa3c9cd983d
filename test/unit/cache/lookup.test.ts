import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { describe, it } from 'node:test';
import { DnsError } from '../../../agent/base/errors.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { Query } from '../../../agent/query/query.ts';
import {
  addressRecord,
  Bench,
  IMMEDIATE,
  lastByte,
  nodata,
  nxdomain,
  servfail,
  ttlIn,
} from './harness.ts';

const positive = (bench: Bench, ttl = 60, byte = 1) => {
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(ttl, byte)] });
};

const PREFETCH = { amount: 1_000, windowMs: 60_000, percentage: 10 };

/** Promises that `run` makes. */
function promisesIn(run: () => unknown): number {
  let count = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') count++;
    },
  }).enable();
  run();
  hook.disable();
  return count;
}

describe('cache lookup', () => {
  it('answers the second query with the stored object itself, without a promise', () => {
    const bench = new Bench();
    positive(bench);
    const first = bench.ask();
    const second = bench.hit();
    assert.equal(second, first);
    assert.equal(second.plugin, 'cache');
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.count('coredns_cache_requests_total'), 2);
    assert.equal(bench.count('coredns_cache_misses_total'), 1);
    assert.equal(bench.count('coredns_cache_hits_total', { type: 'success' }), 1);
    assert.equal(bench.count('coredns_cache_entries', { type: 'success' }), 1);
  });

  it('makes no promise on a hit, stale or not', async () => {
    const bench = new Bench({ serveStale: IMMEDIATE, prefetch: PREFETCH });
    positive(bench, 5);
    await bench.ask();
    const fresh = promisesIn(() => bench.hit());
    await bench.services.clock.advance(5_000);
    bench.upstream = () => {
      throw new DnsError(RCODE.SERVFAIL, 'down');
    };
    bench.hit();
    const stale = promisesIn(() => bench.hit());
    assert.deepEqual([fresh, stale], [0, 0]);
    assert.equal(
      promisesIn(() => Promise.resolve()),
      1,
    );
  });

  it('separates answers to upstream queries with different EDNS options, however often they are asked', () => {
    const bench = new Bench();
    const asked = (option: string): Query => {
      const question = { name: nameFromText('opt.example.org.'), type: TYPE.A };
      const flags = { dnssecOk: false, checkingDisabled: false };
      const server = { index: 0, label: 'dns://127.0.0.1:53' };
      const upstreamOptions = option === '' ? undefined : Buffer.from(option, 'hex');
      const now = bench.services.clock.nowMs();
      return Query.internal({ ...question, ...flags, server, upstreamOptions }, now);
    };
    const options = ['', 'fde9000101', 'fde9000102'];
    bench.upstream = (query) => {
      const byte = options.indexOf(query.upstreamOptions?.toString('hex') ?? '') + 1;
      return bench.reply(query, { answer: [addressRecord(60, byte)] });
    };
    for (let round = 0; round < 3; round++) {
      const answers = options.map((option) => bench.block.handle(asked(option), bench.next));
      assert.deepEqual(
        answers.map((answer) => lastByte(answer as Answer)),
        [1, 2, 3],
      );
    }
    assert.equal(bench.asked.length, 3);
  });

  it('asks the upstream again as soon as the TTL has expired, to the second', async () => {
    const bench = new Bench();
    positive(bench, 60);
    await bench.ask();
    await bench.services.clock.advance(59_999);
    bench.hit();
    assert.equal(bench.asked.length, 1);
    await bench.services.clock.advance(1);
    await bench.ask();
    assert.equal(bench.asked.length, 2);
  });

  it('separates answers by name, type, DO, CD and block', async () => {
    const bench = new Bench();
    positive(bench);
    await bench.ask();
    for (const ask of [
      { name: 'other.example.org.' },
      { type: TYPE.AAAA },
      { dnssecOk: true },
      { checkingDisabled: true },
    ]) {
      const before = bench.asked.length;
      await bench.ask(ask);
      assert.equal(bench.asked.length, before + 1, JSON.stringify(ask));
    }
    bench.open({}, { id: 2 });
    const before = bench.asked.length;
    await bench.ask();
    assert.equal(bench.asked.length, before + 1);
  });

  it('stores nothing for other classes and for types that are no record sets', async () => {
    const bench = new Bench();
    positive(bench);
    const asks = [
      { class: CLASS.CH },
      { type: TYPE.ANY },
      { type: TYPE.AXFR },
      { type: TYPE.IXFR },
      { type: TYPE.MAILA },
      { type: TYPE.MAILB },
      { type: TYPE.TKEY },
      { type: TYPE.TSIG },
      { type: TYPE.OPT },
    ];
    for (const ask of asks) {
      await bench.ask(ask);
      await bench.ask(ask);
    }
    assert.equal(bench.asked.length, 2 * asks.length);
    assert.deepEqual(bench.cache.stats().answers, 0);
    assert.equal(bench.count('coredns_cache_requests_total'), 0);
  });

  it('answers RD=0 from fresh entries; otherwise asks upstream for this query alone and stores nothing', async () => {
    const bench = new Bench();
    positive(bench);
    await bench.ask({ recursionDesired: false });
    await bench.ask({ recursionDesired: false });
    assert.equal(bench.asked.length, 2);
    assert.equal(bench.cache.stats().answers, 0);
    await bench.ask();
    bench.hit({ recursionDesired: false });
    assert.equal(bench.asked.length, 3);
  });

  it('serves NXDOMAIN and NODATA for the smaller of SOA TTL and MINIMUM', async () => {
    for (const response of [nxdomain(10, 3_600), nodata(3_600, 10)]) {
      const bench = new Bench();
      bench.upstream = (query) => bench.reply(query, response);
      const answer = await bench.ask();
      assert.equal(ttlIn(answer), 10);
      await bench.services.clock.advance(9_999);
      bench.hit();
      assert.equal(bench.asked.length, 1);
      assert.equal(bench.count('coredns_cache_hits_total', { type: 'denial' }), 1);
      await bench.services.clock.advance(1);
      await bench.ask();
      assert.equal(bench.asked.length, 2);
    }
  });

  it('serves NXDOMAIN behind an alias while both TTLs last, and never stale', async () => {
    for (const [aliasTtl, minimum, seconds] of [
      [20, 300, 20],
      [300, 20, 20],
    ] as const) {
      const alias = { type: TYPE.CNAME, ttlSeconds: aliasTtl, rdata: nameFromText('no.example.') };
      const bench = new Bench({ serveStale: IMMEDIATE });
      bench.upstream = (query) => bench.reply(query, { ...nxdomain(minimum), answer: [alias] });
      for (let i = 0; i < 6; i++) await bench.ask();
      assert.equal(bench.asked.length, 1);
      assert.deepEqual([bench.cache.stats().answers, bench.cache.stats().denials], [0, 1]);
      await bench.services.clock.advance(seconds * 1_000 - 1);
      assert.equal(bench.hit().rcode, RCODE.NXDOMAIN);
      await bench.services.clock.advance(1);
      await bench.ask();
      assert.equal(bench.asked.length, 2);
    }
  });

  it('replaces an answer by an NXDOMAIN, and an NXDOMAIN by an answer', async () => {
    const bench = new Bench();
    positive(bench, 5);
    await bench.ask();
    await bench.services.clock.advance(5_000);
    bench.upstream = (query) => bench.reply(query, nxdomain(5));
    await bench.ask();
    assert.deepEqual([bench.cache.stats().answers, bench.cache.stats().denials], [0, 1]);
    await bench.services.clock.advance(5_000);
    positive(bench, 5, 2);
    await bench.ask();
    assert.deepEqual([bench.cache.stats().answers, bench.cache.stats().denials], [1, 0]);
    assert.equal(lastByte(bench.hit()), 2);
  });

  it('remembers SERVFAIL for its configured time only', async () => {
    const bench = new Bench({ servfailMs: 1_000 });
    bench.upstream = (query) => bench.reply(query, servfail);
    await bench.ask();
    assert.equal(bench.hit().rcode, RCODE.SERVFAIL);
    assert.equal(bench.asked.length, 1);
    await bench.services.clock.advance(1_000);
    positive(bench);
    assert.equal((await bench.ask()).rcode, RCODE.NOERROR);
    assert.equal(bench.cache.stats().denials, 0);
  });

  it('sends the original TTL with keepttl', () => {
    const kept = new Bench({ keepTtl: true });
    positive(kept);
    kept.hit();
    assert.equal(kept.hit().bornMs, undefined);
    const aged = new Bench();
    positive(aged);
    aged.hit();
    assert.equal(aged.hit().bornMs, aged.services.clock.nowMs());
  });

  it('neither stores nor shares an answer for one client only', async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<void>();
    bench.upstream = async (query) => {
      await promise;
      return bench.reply(query, { answer: [addressRecord(60)] }).with({ shareable: false });
    };
    const asks = [bench.waiting(), bench.waiting(), bench.waiting()];
    assert.equal(bench.asked.length, 1);
    resolve();
    const answers = await Promise.all(asks);
    assert.equal(bench.asked.length, 3);
    assert.equal(new Set(answers).size, 3);
    assert.equal(bench.cache.stats().answers, 0);
  });

  it('treats an entry of another configuration as expired, and serves it in an outage', async () => {
    const bench = new Bench();
    positive(bench);
    await bench.ask();
    bench.open({}, { belowCache: 'forward . 198.51.100.1' });
    bench.upstream = (query) => bench.reply(query, servfail);
    assert.equal(lastByte(await bench.ask()), 1);
    assert.equal(bench.asked.length, 2);
    await bench.services.clock.advance(1_000);
    positive(bench, 60, 2);
    assert.equal(lastByte(await bench.ask()), 2);
    bench.open({}, { belowCache: 'forward . 198.51.100.1' });
    assert.equal(lastByte(bench.hit()), 2);
  });
});
