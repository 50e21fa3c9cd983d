import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressBytes } from '../../../../agent/base/address.ts';
import { DnsError, DropQuery } from '../../../../agent/base/errors.ts';
import type { NewRecord } from '../../../../agent/dns/build.ts';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/dns64/setup.ts';
import { type Answer, madeAnswer } from '../../../../agent/query/answer.ts';
import { clientAt, Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { decoded, queryFor } from '../../../support/dns/queries.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeServices } from '../../../support/services.ts';

const V6 = clientAt('fd00::7', 5_353);
const NAME = 'host.example';
const SERVER = { index: 0, label: 'dns://127.0.0.1:53' };

const a = (address: string, ttlSeconds = 300): NewRecord => ({
  type: TYPE.A,
  ttlSeconds,
  rdata: addressBytes(address),
});
const SOA: NewRecord = {
  type: TYPE.SOA,
  ttlSeconds: 30,
  rdata: Uint8Array.from([0, 0, ...new Uint8Array(20)]),
};

function made(type: keyof typeof TYPE, answer: readonly NewRecord[], rcode = 0): Answer {
  const authority = answer.length === 0 ? [SOA] : [];
  return madeAnswer(queryFor(NAME, type), { rcode, flags: 0, answer, authority }, 'x');
}

interface Told {
  readonly text?: string;
  readonly below?: Answer;
  readonly found?: Answer;
  readonly client?: 4 | 6;
}

/** The client's answer, and the number of queries for A records. */
async function reply({ text = 'dns64', below = made('AAAA', []), found, client = 6 }: Told = {}) {
  const asked: string[] = [];
  const services = fakeServices({
    resolve: (question) => {
      asked.push(`${question.type} ${question.depth}`);
      return Promise.resolve(found ?? made('A', [a('192.0.2.33'), a('192.0.2.34', 10)]));
    },
  });
  const { directive, block } = parseDirective(text);
  const plugin = setup(directive, block, services);
  const query = queryFor('Host.example', 'AAAA', client === 6 ? { client: V6 } : {});
  const answer = (await plugin.handle?.(query, () => below)) as Answer;
  const addresses = (decoded(answer).answers ?? []).map((record) =>
    'data' in record && 'ttl' in record ? `${record.data} ${record.ttl}` : record.type,
  );
  return { answer, addresses, asked, services };
}

interface Waiting {
  /** The result of the query for AAAA records, and its delay in milliseconds. */
  readonly ends: Answer | Error;
  readonly afterMs: number;
  /** The delay of the answer to the query for A records, milliseconds; undefined: never. */
  readonly foundAfterMs?: number;
}

/** Asks and moves the clock until the client gets a result; returns it, its time, and the time of the query for A. */
async function wait({ ends, afterMs, foundAfterMs }: Waiting) {
  const clock = new FakeClock();
  const startMs = clock.nowMs();
  const asked: number[] = [];
  const services = fakeServices({
    clock,
    resolve: () => {
      asked.push(clock.nowMs() - startMs);
      return new Promise((resolve) => {
        if (foundAfterMs !== undefined)
          clock.after(foundAfterMs, () => resolve(made('A', [a('192.0.2.33')])));
      });
    },
  });
  const { directive, block } = parseDirective('dns64');
  const query = queryFor(NAME, 'AAAA', { client: V6 });
  query.arrivedMs = startMs;
  const below = (): Promise<Answer> =>
    new Promise((resolve, reject) => {
      clock.after(afterMs, () => (ends instanceof Error ? reject(ends) : resolve(ends)));
    });
  let outcome: { readonly got: unknown; readonly atMs: number } | undefined;
  const note = (got: unknown): void => {
    outcome = { got, atMs: clock.nowMs() - startMs };
  };
  const result = setup(directive, block, services).handle?.(query, below);
  assert.ok(result instanceof Promise);
  result.then(note, note);
  for (let ms = 0; ms < 10_000 && outcome === undefined; ms += 10) await clock.advance(10);
  assert.ok(outcome !== undefined, 'the client gets no result');
  const { got, atMs } = outcome;
  const addresses = got instanceof Error ? got : decoded(got as Answer).answers?.length;
  return { got, atMs, addresses, asked };
}

const TIMEOUT = new DnsError(RCODE.SERVFAIL, 'no answer in time');

describe('dns64 without an answer for AAAA', () => {
  it('translates after an error at once', async () => {
    const refused = new DnsError(RCODE.REFUSED, 'refused');
    for (const ends of [TIMEOUT, refused]) {
      const { addresses, atMs, asked } = await wait({ ends, afterMs: 50, foundAfterMs: 20 });
      assert.deepEqual([addresses, atMs, asked], [1, 70, [50]]);
    }
  });

  it('has the A records when the query for AAAA times out', async () => {
    const { addresses, atMs, asked } = await wait({
      ends: TIMEOUT,
      afterMs: 4_000,
      foundAfterMs: 500,
    });
    assert.deepEqual([addresses, atMs, asked], [1, 4_000, [1_000]]);
  });

  it('fails by the deadline where there is none for A either', async () => {
    const late = await wait({ ends: TIMEOUT, afterMs: 4_000 });
    assert.deepEqual([late.got, late.atMs], [TIMEOUT, 4_000]);
    const soon = await wait({ ends: TIMEOUT, afterMs: 50 });
    assert.deepEqual([soon.got, soon.atMs], [TIMEOUT, 4_000]);
  });

  it('does not ask for A where AAAA is slow, but answered', async () => {
    const full = made('AAAA', [{ type: TYPE.AAAA, ttlSeconds: 1, rdata: addressBytes('fd00::1') }]);
    const quick = await wait({ ends: full, afterMs: 990 });
    assert.deepEqual([quick.got, quick.asked], [full, []]);
    const slow = await wait({ ends: full, afterMs: 1_500, foundAfterMs: 10 });
    assert.deepEqual([slow.got, slow.asked], [full, [1_000]]);
  });

  it('does not change dropped queries, NXDOMAIN and internal faults', async () => {
    const silence = new DropQuery('dropped');
    const nxdomain = new DnsError(RCODE.NXDOMAIN, 'blocked');
    for (const ends of [silence, nxdomain, new Error('a fault')]) {
      const { got, asked } = await wait({ ends, afterMs: 50, foundAfterMs: 10 });
      assert.deepEqual([got, asked], [ends, []]);
    }
  });
});

describe('dns64', () => {
  it('makes AAAA records from A records', async () => {
    const { answer, addresses, asked, services } = await reply();
    assert.deepEqual(addresses, ['64:ff9b::c000:221 30', '64:ff9b::c000:222 10']);
    assert.deepEqual(asked, [`${TYPE.A} 1`]);
    assert.equal(answer.ttlOffsets.length, 2);
    assert.deepEqual(decoded(answer).questions?.[0]?.type, 'AAAA');
    const labels = { server: SERVER.label };
    assert.equal(services.metrics.value('coredns_dns64_requests_translated_total', labels), 1);
  });

  it('keeps the other records of the answer', async () => {
    const target = nameFromText('other.example');
    const alias = { type: TYPE.CNAME, ttlSeconds: 60, rdata: target };
    const { answer } = await reply({
      found: made('A', [alias, { ...a('192.0.2.1'), name: target }]),
    });
    const answers = decoded(answer).answers ?? [];
    assert.deepEqual(
      answers.map(({ name, type }) => `${name} ${type}`),
      [`${NAME} CNAME`, 'other.example AAAA'],
    );
  });

  for (const [prefix, expected] of [
    ['2001:db8::/32', '2001:db8:c000:221::'],
    ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
    ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
    ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
    ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100:0'],
    ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'],
  ] as const) {
    it(`${prefix} as in RFC 6052 §2.4`, async () => {
      const { addresses } = await reply({ text: `dns64 {\nprefix ${prefix}\n}` });
      assert.equal(addresses[0], `${expected} 30`);
    });
  }

  it('subtracts the age of a cached A answer', async () => {
    const found = made('A', [a('192.0.2.33', 20)]).with({
      bornMs: new FakeClock().nowMs() - 5_000,
    });
    assert.deepEqual((await reply({ found })).addresses, ['64:ff9b::c000:221 15']);
    const stale = found.with({ ttlOverrideSeconds: 7 });
    assert.deepEqual((await reply({ found: stale })).addresses, ['64:ff9b::c000:221 7']);
  });

  it('does not translate for IPv4 clients, names with AAAA and NXDOMAIN', async () => {
    const aaaa = { type: TYPE.AAAA, ttlSeconds: 1, rdata: addressBytes('fd00::1') };
    const full = made('AAAA', [aaaa]);
    for (const reported of [
      { client: 4 as const },
      { below: full },
      { below: made('AAAA', [], RCODE.NXDOMAIN) },
    ]) {
      const { asked } = await reply(reported);
      assert.deepEqual(asked, []);
    }
    assert.equal((await reply({ below: full, text: 'dns64 {\ntranslate_all\n}' })).asked.length, 1);
    assert.equal((await reply({ client: 4, text: 'dns64 {\nallow_ipv4\n}' })).asked.length, 1);
  });

  it('returns the first answer where there is no A either', async () => {
    const below = made('AAAA', []);
    for (const found of [made('A', []), made('A', [], RCODE.SERVFAIL)])
      assert.equal((await reply({ below, found })).answer, below);
  });

  it('does not translate the agent’s own queries', () => {
    const { directive, block } = parseDirective('dns64 {\nallow_ipv4\n}');
    const plugin = setup(directive, block, fakeServices());
    const question = { name: nameFromText(NAME), type: TYPE.AAAA, dnssecOk: false };
    const query = Query.internal({ ...question, checkingDisabled: false, server: SERVER }, 0);
    const below = made('AAAA', []);
    assert.equal(
      plugin.handle?.(query, () => below),
      below,
    );
  });

  it('translates what a plugin asks in the name of a client', async () => {
    const { directive, block } = parseDirective('dns64');
    const resolve = () => Promise.resolve(made('A', [a('192.0.2.33')]));
    const plugin = setup(directive, block, fakeServices({ resolve }));
    const question = { name: nameFromText(NAME), type: TYPE.AAAA, dnssecOk: false };
    const own = { ...question, checkingDisabled: false, server: SERVER, client: V6 };
    const answer = (await plugin.handle?.(Query.internal(own, 0), () =>
      made('AAAA', []),
    )) as Answer;
    assert.equal(decoded(answer).answers?.length, 1);
  });

  it('does not write to the A answer, which the cache shares', async () => {
    const found = made('A', [a('192.0.2.33')]);
    const before = Buffer.from(found.wire);
    await reply({ found });
    assert.deepEqual(found.wire, before);
  });

  for (const text of [
    'dns64 10.0.0.0/8',
    'dns64 64:ff9b::/97',
    'dns64 64:ff9b::/80',
    'dns64 64:ff9b::/96 {\nprefix 64:ff9b::/96\n}',
    'dns64 {\ntranslate_all yes\n}',
    'dns64 a b',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const { directive, block } = parseDirective(text);
      assert.throws(() => setup(directive, block, fakeServices()), { name: 'ConfigError' });
    });
  }
});
