import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TYPE } from '../../../../agent/dns/iana.ts';
import { Answer } from '../../../../agent/query/answer.ts';
import { addressRecord, Bench, IMMEDIATE, nxdomain } from '../harness.ts';

const SECOND = 1_000;
const name = (i: number): string => `n${i}.example.org.`;

/** Names that start with `no` do not exist; the others have an address for `ttl` seconds. */
function network(bench: Bench, ttl = 60): void {
  bench.upstream = (query) =>
    query.nameText.startsWith('no')
      ? bench.reply(query, nxdomain(ttl))
      : bench.reply(query, { answer: [addressRecord(ttl)] });
}

const keep = (capacity: number) => ({ capacity, maxTtlSeconds: 3_600, minTtlSeconds: 5 });

describe('cache store', () => {
  it('stays within its size in bytes, and keeps denials within a fifth of it', () => {
    const bench = new Bench({}, { totalBytes: 100_000 });
    network(bench);
    for (let i = 0; i < 500; i++) {
      bench.hit({ name: name(i) });
      bench.hit({ name: `no${i}.example.org.` });
    }
    const { answers, answerBytes, denials, denialBytes } = bench.cache.stats();
    assert.ok(answerBytes <= 80_000 && answerBytes > 70_000, `${answerBytes}`);
    assert.ok(denialBytes <= 20_000 && denialBytes > 15_000, `${denialBytes}`);
    assert.equal(bench.count('nodens_cache_bytes', { store: 'answers' }), answerBytes);
    assert.equal(bench.count('coredns_cache_evictions_total', { type: 'success' }), 500 - answers);
    assert.equal(bench.count('coredns_cache_evictions_total', { type: 'denial' }), 500 - denials);
    assert.equal(bench.count('coredns_cache_entries', { type: 'denial' }), denials);
  });

  it('loses no answer to a flood of names that do not exist', () => {
    const bench = new Bench({}, { totalBytes: 200_000 });
    network(bench);
    for (let i = 0; i < 50; i++) bench.hit({ name: name(i) });
    for (let i = 0; i < 5_000; i++) bench.hit({ name: `no${i}.example.org.` });
    bench.asked.length = 0;
    for (let i = 0; i < 50; i++) bench.hit({ name: name(i) });
    assert.equal(bench.asked.length, 0);
  });

  it('evicts the least recently used entry when the size is reached', () => {
    const bench = new Bench({}, { totalBytes: 30_000 });
    network(bench);
    for (let i = 0; i < 200; i++) {
      bench.hit({ name: name(i) });
      bench.hit({ name: name(0) });
    }
    bench.asked.length = 0;
    bench.hit({ name: name(0) });
    bench.hit({ name: name(199) });
    assert.equal(bench.asked.length, 0);
    bench.hit({ name: name(1) });
    assert.equal(bench.asked.length, 1);
  });

  it('makes room within the block: never at the expense of another', () => {
    const bench = new Bench({ success: keep(10) });
    network(bench);
    bench.open({ success: keep(10) }, { id: 2 });
    for (let i = 0; i < 10; i++) bench.hit({ name: name(i) });
    bench.open({ success: keep(10) }, { id: 1 });
    for (let i = 0; i < 100; i++) bench.hit({ name: name(i) });
    assert.equal(bench.cache.stats().answers, 20);
    bench.open({ success: keep(10) }, { id: 2 });
    bench.asked.length = 0;
    for (let i = 0; i < 10; i++) bench.hit({ name: name(i) });
    assert.equal(bench.asked.length, 0);
  });

  it('keeps entries that were asked for, within the capacity', () => {
    const bench = new Bench({ success: keep(10) });
    network(bench);
    for (let i = 0; i < 40; i++) {
      bench.hit({ name: name(i) });
      bench.hit({ name: name(0) });
    }
    bench.asked.length = 0;
    bench.hit({ name: name(0) });
    assert.equal(bench.asked.length, 0);
    assert.equal(bench.cache.stats().answers, 10);
  });

  it('shrinks to a smaller capacity with the next entry', () => {
    const bench = new Bench({ success: keep(10) });
    network(bench);
    for (let i = 0; i < 10; i++) bench.hit({ name: name(i) });
    bench.open({ success: keep(3) });
    bench.hit({ name: name(10) });
    assert.equal(bench.cache.stats().answers, 3);
  });

  it('does not evict when an entry replaces itself', async () => {
    const bench = new Bench({ success: keep(2) });
    network(bench, 5);
    bench.hit({ name: name(0) });
    bench.hit({ name: name(1) });
    await bench.services.clock.advance(5 * SECOND);
    bench.hit({ name: name(1) });
    assert.equal(bench.count('coredns_cache_evictions_total', { type: 'success' }), 0);
  });

  it('sweeps expired entries in time, and only those', async () => {
    const bench = new Bench({ serveStale: { ...IMMEDIATE, windowMs: 60 * SECOND } });
    network(bench, 5);
    for (let i = 0; i < 3_000; i++) bench.hit({ name: name(i) });
    for (let i = 0; i < 100; i++) bench.hit({ name: `no${i}.example.org.` });
    await bench.services.clock.advance(30 * SECOND);
    assert.deepEqual([bench.cache.stats().answers, bench.cache.stats().denials], [3_000, 0]);
    assert.equal(bench.count('nodens_cache_entries_swept_total', { store: 'denials' }), 100);
    await bench.services.clock.advance(100 * SECOND);
    assert.deepEqual([bench.cache.stats().answers, bench.cache.stats().answerBytes], [0, 0]);
    assert.equal(bench.count('coredns_cache_entries', { type: 'success' }), 0);
  });

  it('looks at a bounded number of entries in one sweep', async () => {
    const bench = new Bench();
    network(bench, 5);
    for (let i = 0; i < 3_000; i++) bench.hit({ name: name(i) });
    await bench.services.clock.advance(5_000);
    const { answers } = bench.cache.stats();
    assert.ok(answers >= 3_000 - 256, `${answers} left after the first sweep past expiry`);
  });

  it('stores a copy of its own', () => {
    const bench = new Bench();
    const slab = Buffer.alloc(8_192);
    bench.upstream = (query) => {
      const { wire, ttlOffsets, rcode } = bench.reply(query, { answer: [addressRecord(60)] });
      wire.copy(slab, 100);
      const slice = slab.subarray(100, 100 + wire.length);
      return new Answer({ wire: slice, ttlOffsets, rcode, plugin: 'test', bornMs: undefined });
    };
    bench.hit();
    slab.fill(0);
    const { wire, bornMs } = bench.hit();
    assert.equal(bornMs, bench.services.clock.nowMs());
    assert.equal(wire.readUInt16BE(4), 1);
  });

  it('stores nothing of a disabled kind, and forgets its entries', () => {
    const zone = Buffer.from('\x07example\x03org\x00', 'latin1');
    const success = new Bench({ disableSuccess: [zone] });
    network(success);
    success.hit({ name: name(1) });
    success.hit({ name: 'no.example.org.' });
    success.hit({ name: 'www.example.net.' });
    assert.deepEqual([success.cache.stats().answers, success.cache.stats().denials], [1, 1]);
    const denial = new Bench({ disableDenial: [zone] });
    network(denial);
    denial.hit({ name: name(1), type: TYPE.A });
    denial.hit({ name: 'no.example.org.' });
    assert.deepEqual([denial.cache.stats().answers, denial.cache.stats().denials], [1, 0]);
  });

  it('stops its timers when it is closed', () => {
    const bench = new Bench();
    network(bench);
    bench.hit();
    bench.cache.close();
    assert.equal(bench.services.clock.pendingTimers, 0);
    assert.equal(bench.cache.stats().answers, 0);
  });

  it('counts each view of a zone separately', () => {
    const bench = new Bench();
    network(bench);
    const labels = (view: string) => ({ server: 'dns://127.0.0.1:53', zones: '.', view });
    for (const [i, view] of ['inside', 'outside'].entries()) {
      bench.open({}, { id: i + 2, view });
      for (let asked = 0; asked <= i; asked++) bench.hit({ name: name(asked) });
    }
    for (const [i, view] of ['inside', 'outside'].entries()) {
      assert.equal(bench.count('coredns_cache_requests_total', labels(view)), i + 1);
      assert.equal(
        bench.count('coredns_cache_entries', { ...labels(view), type: 'success' }),
        i + 1,
      );
    }
  });
});
