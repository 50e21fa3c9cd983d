import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NewResponse } from '../../../../agent/dns/build.ts';
import { ancountOf } from '../../../../agent/dns/header.ts';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import type { CacheOptions } from '../../../../agent/query/services/cache.ts';
import { addressRecord, Bench, lastByte, nodata, nxdomain } from '../harness.ts';

const SECOND = 1_000;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((label) => `${label}.example.org.`);
const ON: Partial<CacheOptions> = {
  lastKnownGood: { windowMs: 600 * SECOND, zones: [nameFromText('example.org.')] },
};

/** A bench in which every name has had a good answer of 5 s, now expired, and the upstream says `lie` to all. */
async function denied(lie: Partial<NewResponse>, options = ON, names = NAMES): Promise<Bench> {
  const bench = new Bench(options);
  good(bench, 1);
  for (const name of names) await bench.ask({ name });
  await bench.services.clock.advance(6 * SECOND);
  bench.upstream = (query) => bench.reply(query, lie);
  return bench;
}

function good(bench: Bench, byte: number): void {
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, byte)] });
}

const isGood = (answer: Answer): boolean =>
  answer.rcode === RCODE.NOERROR && ancountOf(answer.wire) > 0;

async function asked(bench: Bench, names = NAMES): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (const name of names) answers.push(isGood(await bench.ask({ name })));
  return answers;
}

describe('last known good', () => {
  for (const [reason, lie] of [
    ['nxdomain', nxdomain()],
    ['nodata', nodata()],
    ['empty', {}],
  ] as const) {
    it(`keeps answers against ${reason} for many names at once, counted and logged once`, async () => {
      const bench = await denied(lie);
      assert.deepEqual(await asked(bench), [false, false, false, false, true, true, true]);
      // Denials that were stored before are removed without another upstream query.
      assert.deepEqual(
        await asked(bench),
        NAMES.map(() => true),
      );
      assert.ok(bench.count('nodens_cache_last_known_good_total', { reason }) >= 3);
      const reported = bench.services.log.records.filter(({ level }) => level === 'warn');
      assert.equal(reported.length, 1);
      assert.deepEqual(reported[0]?.fields, { event: 'last-known-good', zones: '.', names: 5 });
    });
  }

  it('is off by default', async () => {
    const bench = await denied(nxdomain(), {});
    assert.deepEqual(
      await asked(bench),
      NAMES.map(() => false),
    );
    assert.equal(bench.count('nodens_cache_last_known_good_total'), 0);
  });

  it('accepts the denial of a few names', async () => {
    const bench = await denied(nxdomain());
    assert.deepEqual(await asked(bench, NAMES.slice(0, 4)), [false, false, false, false]);
    assert.equal(bench.hit({ name: NAMES[0] as string }).rcode, RCODE.NXDOMAIN);
  });

  it('accepts denials that arrive minutes apart', async () => {
    const bench = await denied(nxdomain());
    for (const name of NAMES) {
      assert.equal((await bench.ask({ name })).rcode, RCODE.NXDOMAIN);
      await bench.services.clock.advance(20 * SECOND);
    }
  });

  it('is never applied to cluster names, whatever its zones are', async () => {
    const zones = [nameFromText('.')];
    const names = NAMES.map((name) => name.replace('example.org', 'ns.svc.cluster.local'));
    const lastKnownGood = { windowMs: 600 * SECOND, zones };
    const bench = await denied(nxdomain(), { lastKnownGood }, names);
    assert.deepEqual(
      await asked(bench, names),
      names.map(() => false),
    );
  });

  it('is never applied to a name without a good answer', async () => {
    const bench = await denied(nxdomain());
    await asked(bench);
    assert.equal((await bench.ask({ name: 'new.example.org.' })).rcode, RCODE.NXDOMAIN);
  });

  it('asks again only after the recheck interval, and the first good answer wins', async () => {
    const bench = await denied(nxdomain());
    await asked(bench);
    await asked(bench);
    const before = bench.asked.length;
    const name = NAMES[6] as string;
    assert.equal(lastByte(bench.hit({ name })), 1);
    assert.equal(bench.asked.length, before);
    good(bench, 2);
    await bench.services.clock.advance(SECOND);
    assert.equal(lastByte(await bench.ask({ name })), 2);
    assert.equal(lastByte(bench.hit({ name })), 2);
  });

  it('ends with its duration', async () => {
    const bench = await denied(nxdomain());
    await asked(bench);
    await bench.services.clock.advance(600 * SECOND);
    assert.deepEqual(
      await asked(bench),
      NAMES.map(() => false),
    );
  });

  it('ends when the upstream has recovered: then a denial is accepted', async () => {
    const bench = await denied(nxdomain());
    await asked(bench);
    good(bench, 2);
    await bench.services.clock.advance(2 * SECOND);
    await asked(bench, NAMES.slice(0, 5));
    bench.upstream = (query) => bench.reply(query, nxdomain());
    assert.equal((await bench.ask({ name: NAMES[5] as string })).rcode, RCODE.NXDOMAIN);
    const last = bench.services.log.records.at(-1);
    assert.equal(last?.message, 'upstream denials count again');
  });
});
