import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { settle } from '../../support/fake-clock.ts';
import { addressRecord, Bench, IMMEDIATE, nodata, nxdomain } from './harness.ts';

const ON = { nxdomainCut: [nameFromText('example.org.')] };
const TOP = 'gone.example.org.';
const BELOW = 'a.b.gone.example.org.';

/** A bench whose upstream has denied TOP for a minute. */
async function cut(options: ConstructorParameters<typeof Bench>[0] = ON): Promise<Bench> {
  const bench = new Bench(options);
  bench.upstream = (query) => bench.reply(query, nxdomain());
  await bench.ask({ name: TOP });
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
  return bench;
}

describe('NXDOMAIN cut', () => {
  it('denies every type of every name below a name that does not exist, with the SOA of that denial', async () => {
    const bench = await cut();
    await bench.services.clock.advance(10_000);
    const answer = bench.hit({ name: BELOW, type: TYPE.AAAA });
    assert.equal(bench.asked.length, 1);
    assert.equal(answer.rcode, RCODE.NXDOMAIN);
    const { questions, authorities } = decode(answer.wire);
    assert.equal(questions?.[0]?.name, BELOW.slice(0, -1));
    assert.equal(authorities?.[0]?.name, 'example.org');
    assert.deepEqual(
      [...answer.ttlOffsets].map((at) => answer.wire.readUInt32BE(at)),
      [60],
    );
    assert.equal(answer.bornMs, bench.services.clock.nowMs() - 10_000);
    assert.equal(bench.count('nodens_cache_nxdomain_cut_total'), 1);
    assert.equal(bench.count('coredns_cache_hits_total', { type: 'denial' }), 1);
  });

  it('is off by default, and outside its zones', async () => {
    for (const options of [{}, { nxdomainCut: [nameFromText('example.com.')] }]) {
      const bench = await cut(options);
      assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
    }
  });

  it('ends with the denial', async () => {
    const bench = await cut();
    await bench.services.clock.advance(60_000);
    assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
  });

  it('covers the name and the names below it, not beside or above it', async () => {
    const bench = await cut();
    for (const name of ['bgone.example.org.', 'x.example.org.', 'example.org.']) {
      assert.equal((await bench.ask({ name })).rcode, RCODE.NOERROR, name);
    }
  });

  it('is not made by NODATA: the name exists', async () => {
    const bench = new Bench(ON);
    bench.upstream = (query) => bench.reply(query, nodata());
    await bench.ask({ name: TOP });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
    assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
  });

  it('is not made by an alias to a missing name: the alias exists', async () => {
    const alias = { type: TYPE.CNAME, ttlSeconds: 60, rdata: nameFromText('no.example.net.') };
    const bench = new Bench(ON);
    bench.upstream = (query) => bench.reply(query, { ...nxdomain(), answer: [alias] });
    await bench.ask({ name: TOP });
    assert.equal(bench.hit({ name: TOP }).rcode, RCODE.NXDOMAIN);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
    assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
  });

  it('is removed by an alias to a missing name', async () => {
    const alias = { type: TYPE.CNAME, ttlSeconds: 60, rdata: nameFromText('no.example.net.') };
    const bench = await cut();
    bench.upstream = (query) => bench.reply(query, { ...nxdomain(), answer: [alias] });
    await bench.ask({ name: TOP, type: TYPE.AAAA });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
    assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
  });

  it('does not apply to clients with DO', async () => {
    const bench = await cut();
    assert.equal((await bench.ask({ name: BELOW, dnssecOk: true })).rcode, RCODE.NOERROR);
  });

  it('is removed by an answer for the name itself', async () => {
    const bench = await cut();
    const answer = [{ type: TYPE.AAAA, ttlSeconds: 60, rdata: new Uint8Array(16) }];
    bench.upstream = (query) => bench.reply(query, { answer });
    await bench.ask({ name: TOP, type: TYPE.AAAA });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
    assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
  });

  it('is removed by the refresh of an answer below it', async () => {
    const serveStale = IMMEDIATE;
    const bench = new Bench({ ...ON, serveStale });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5)] });
    await bench.ask({ name: 'b.gone.example.org.' });
    await bench.services.clock.advance(6_000);
    bench.upstream = (query) => bench.reply(query, nxdomain());
    await bench.ask({ name: TOP });
    assert.equal(bench.hit({ name: BELOW }).rcode, RCODE.NXDOMAIN);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5)] });
    bench.hit({ name: 'b.gone.example.org.' });
    await settle();
    assert.equal((await bench.ask({ name: BELOW })).rcode, RCODE.NOERROR);
  });
});
