/** What a flush takes, and that a slow reader of a dump does not fill the memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import {
  type CacheCommandParts,
  cacheFlush,
  cacheGet,
} from '../../../agent/operator/cache-commands.ts';
import type { CacheSelection, EntryLine, FlushedLine } from '../../../agent/operator/protocol.ts';
import { FakeOutput } from '../../support/operator-output.ts';
import { addressRecord, Bench, servfail, VERIFY } from '../cache/harness.ts';

function parts(bench: Bench, rewriteSnapshot?: () => Promise<boolean>): CacheCommandParts {
  const { clock, log, work, metrics } = bench.services;
  return {
    ...{ clock, log, work, cache: bench.cache, limitBytes: 4_000_000, rewriteSnapshot },
    blockName: (id) => `block ${id}`,
    counters: () => Promise.resolve({}),
    flushed: metrics.counter('nodens_cache_flushed_entries_total'),
  };
}

/** Runs a command on the bench's clock. */
async function done<T>(bench: Bench, work: Promise<T>): Promise<T> {
  let isDone = false;
  const result = work.finally(() => {
    isDone = true;
  });
  for (let i = 0; !isDone && i < 1_000; i++) await bench.services.clock.advance(1);
  return await result;
}

async function flushed(bench: Bench, select: CacheSelection): Promise<FlushedLine> {
  const out = new FakeOutput();
  await done(bench, cacheFlush(parts(bench), select, out));
  return out.lines[0] as FlushedLine;
}

function answering(bench: Bench): void {
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 1)] });
}

describe('flush of a name', () => {
  it('takes every variant of every block, and nothing of another name', async () => {
    const bench = new Bench();
    answering(bench);
    for (const dnssecOk of [false, true])
      for (const checkingDisabled of [false, true])
        bench.hit({ name: 'a.test.', dnssecOk, checkingDisabled });
    bench.hit({ name: 'b.a.test.' });
    bench.open({}, { id: 300 });
    bench.hit({ name: 'a.test.' });
    const { entries, answers } = await flushed(bench, { name: 'A.Test' });
    assert.deepEqual([entries, answers], [5, 5]);
    assert.equal(bench.cache.stats().answers, 1);
    assert.equal(bench.count('nodens_cache_flushed_entries_total'), 5);
    bench.asked.length = 0;
    bench.hit({ name: 'a.test.' });
    assert.equal(bench.asked.length, 1, 'it is asked again, though it was hot');
  });

  it('takes the stale copy: the next failure has nothing to serve', async () => {
    const bench = new Bench({ serveStale: VERIFY });
    answering(bench);
    bench.hit();
    await bench.services.clock.advance(100_000);
    await flushed(bench, { name: 'www.example.org.' });
    bench.upstream = (query) => bench.reply(query, servfail);
    assert.equal(bench.hit().rcode, RCODE.SERVFAIL);
  });

  it('takes a remembered failure', async () => {
    const bench = new Bench({ servfailMs: 60_000 });
    bench.upstream = (query) => bench.reply(query, servfail);
    bench.hit();
    assert.equal((await flushed(bench, { name: 'www.example.org' })).failures, 1);
    answering(bench);
    assert.equal(bench.hit().rcode, RCODE.NOERROR);
  });

  it('takes cuts of the name and above it, and not those beside it', async () => {
    const bench = new Bench({ nxdomainCut: [nameFromText('test.')] });
    bench.upstream = (query) => bench.reply(query, { rcode: RCODE.NXDOMAIN, authority: [soa()] });
    bench.hit({ name: 'gone.test.' });
    bench.hit({ name: 'beside.test.' });
    const { cuts, denials } = await flushed(bench, { name: 'x.gone.test.', type: TYPE.A });
    assert.deepEqual([cuts, denials], [1, 0]);
    bench.asked.length = 0;
    bench.hit({ name: 'x.gone.test.' });
    bench.hit({ name: 'x.beside.test.' });
    assert.equal(bench.asked.length, 1);
  });

  it('writes the snapshot anew, even if nothing was cached', async () => {
    const bench = new Bench();
    const out = new FakeOutput();
    let written = 0;
    const rewrite = (): Promise<boolean> => {
      written++;
      return Promise.resolve(written > 1);
    };
    for (const _ of [1, 2])
      await done(bench, cacheFlush(parts(bench, rewrite), { name: 'a.test' }, out));
    assert.deepEqual(
      out.lines.map((line) => (line as FlushedLine).snapshot),
      ['failed', 'written'],
    );
  });
});

describe('flush of a zone', () => {
  it('takes names at and below it by label, not by text', async () => {
    const bench = new Bench();
    answering(bench);
    for (const name of ['a.test.', 'b.a.test.', 'ba.test.', 'test.']) bench.hit({ name });
    assert.equal((await flushed(bench, { zone: 'a.test' })).entries, 2);
    assert.equal((await flushed(bench, { zone: '.' })).entries, 2);
  });
});

function soa() {
  const names = [nameFromText('test.'), nameFromText('test.')];
  return {
    name: nameFromText('test.'),
    type: TYPE.SOA,
    ttlSeconds: 60,
    rdata: Buffer.concat([
      ...names,
      Buffer.from('0000000100000002000000030000000400000005', 'hex'),
    ]),
  };
}

describe('a dump', () => {
  const COUNT = 2_000;

  function full(): Bench {
    const bench = new Bench();
    answering(bench);
    for (let i = 0; i < COUNT; i++) bench.hit({ name: `n${i}.test.` });
    return bench;
  }

  it('waits for a slow reader, and shows each entry once, though others come and go', async () => {
    const bench = full();
    const out = new FakeOutput(10);
    let isDone = false;
    const work = cacheGet(parts(bench), { all: true }, out).finally(() => {
      isDone = true;
    });
    let most = 0;
    for (let i = 0; !isDone && i < 10_000; i++) {
      await bench.services.clock.advance(1);
      most = Math.max(most, out.waiting);
      if (i === 50) await flushed(bench, { name: 'n1999.test.' });
      out.read();
    }
    await work;
    assert.equal(most, 10);
    const names = new Set(out.lines.map((line) => (line as EntryLine).name));
    assert.deepEqual([out.lines.length, names.size], [COUNT - 1, COUNT - 1]);
  });

  it('ends when the command has gone', async () => {
    const bench = full();
    const out = new FakeOutput(10);
    const work = cacheGet(parts(bench), { all: true }, out);
    await bench.services.clock.advance(5);
    out.isClosed = true;
    out.read();
    await done(bench, work);
    assert.ok(out.lines.length < 100);
  });
});
