import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { classify, isCacheable, type Verdict } from '../../../../agent/cache/policy/classify.ts';
import { lifetimeOf, type TtlRule } from '../../../../agent/cache/policy/ttl.ts';
import type { NewRecord, NewResponse } from '../../../../agent/dns/build.ts';
import { FLAG, putU32 } from '../../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { readRecords } from '../../../../agent/dns/records.ts';
import { type Ask, addressRecord, queryFor, replyTo, soaRecord } from '../harness.ts';

const NOW = 1_700_000_000;
const a = addressRecord(60);
const soa = soaRecord(3_600, 60);
const ns: NewRecord = { type: TYPE.NS, ttlSeconds: 60, rdata: nameFromText('ns.example.org.') };
const cname: NewRecord = { type: TYPE.CNAME, ttlSeconds: 60, rdata: nameFromText('x.example.') };

const dname: NewRecord = {
  ...{ type: TYPE.DNAME, ttlSeconds: 60 },
  ...{ name: nameFromText('example.org.'), rdata: nameFromText('x.') },
};

function rrsig(inception: number, expiration: number): NewRecord {
  const rdata = new Uint8Array(24);
  putU32(rdata, 8, expiration);
  putU32(rdata, 12, inception);
  return { type: TYPE.RRSIG, ttlSeconds: 60, rdata };
}

function verdict(response: Partial<NewResponse>, ask: Ask = {}): Verdict {
  const query = queryFor(ask, 0);
  return classify(query, replyTo(query, response, 0), NOW).verdict;
}

describe('classify', () => {
  const cases: readonly [string, Partial<NewResponse>, Verdict][] = [
    ['an answer', { answer: [a] }, 'success'],
    ['an answer behind an alias', { answer: [cname, a] }, 'success'],
    ['an alias that ends nowhere', { answer: [cname] }, 'uncacheable'],
    ['an alias to a name without the type', { answer: [cname], authority: [soa] }, 'denial'],
    ['NODATA', { authority: [soa] }, 'denial'],
    ['an empty answer', {}, 'uncacheable'],
    ['an SOA where it does not count', { additional: [soa] }, 'uncacheable'],
    ['a delegation', { authority: [ns] }, 'delegation'],
    ['NXDOMAIN', { rcode: RCODE.NXDOMAIN, authority: [soa] }, 'denial'],
    ['NXDOMAIN without SOA', { rcode: RCODE.NXDOMAIN }, 'uncacheable'],
    [
      'NXDOMAIN behind an alias',
      { rcode: RCODE.NXDOMAIN, answer: [cname], authority: [soa] },
      'denial',
    ],
    [
      'NXDOMAIN behind a DNAME',
      { rcode: RCODE.NXDOMAIN, answer: [dname, cname], authority: [soa] },
      'denial',
    ],
    [
      'NXDOMAIN behind an alias, without SOA',
      { rcode: RCODE.NXDOMAIN, answer: [cname] },
      'uncacheable',
    ],
    [
      'NXDOMAIN with what was asked for',
      { rcode: RCODE.NXDOMAIN, answer: [a], authority: [soa] },
      'uncacheable',
    ],
    ['SERVFAIL', { rcode: RCODE.SERVFAIL }, 'failure'],
    ['NOTIMP', { rcode: RCODE.NOTIMP }, 'failure'],
    ['REFUSED', { rcode: RCODE.REFUSED }, 'refusal'],
    ['FORMERR', { rcode: RCODE.FORMERR, answer: [a] }, 'refusal'],
    ['a truncated answer', { flags: FLAG.TC, answer: [a] }, 'refusal'],
    [
      'a truncated NXDOMAIN',
      { rcode: RCODE.NXDOMAIN, flags: FLAG.TC, authority: [soa] },
      'refusal',
    ],
  ];
  for (const [what, response, expected] of cases) {
    it(`${what} is a ${expected}`, () => assert.equal(verdict(response), expected));
  }

  it('counts signatures only where the client asked for them', () => {
    const signed = (from: number, to: number) => ({ answer: [a, rrsig(NOW + from, NOW + to)] });
    assert.equal(verdict(signed(-100, -1)), 'success');
    const asked = { dnssecOk: true };
    assert.equal(verdict(signed(-100, 100), asked), 'success');
    assert.equal(verdict(signed(-100, -1), asked), 'uncacheable');
    assert.equal(verdict(signed(1, 100), asked), 'uncacheable');
  });

  it('rejects the answer to another question', () => {
    const query = queryFor({}, 0);
    for (const ask of [{ name: 'other.example.org.' }, { type: TYPE.AAAA }, { class: CLASS.CH }]) {
      const answer = replyTo(queryFor(ask, 0), { answer: [a] }, 0);
      assert.equal(classify(query, answer, NOW).verdict, 'mismatch');
    }
    const answer = replyTo(query, { answer: [a] }, 0);
    const cut = answer.with({ wire: answer.wire.subarray(0, -1) });
    assert.equal(classify(query, cut, NOW).verdict, 'mismatch');
  });

  it('stores only single record sets of class IN', () => {
    assert.equal(isCacheable(TYPE.HTTPS, CLASS.IN), true);
    assert.equal(isCacheable(TYPE.CAA, CLASS.IN), true);
    assert.equal(isCacheable(TYPE.A, CLASS.CH), false);
    assert.equal(isCacheable(TYPE.A, CLASS.ANY), false);
    for (const type of [TYPE.ANY, TYPE.AXFR, TYPE.TKEY, TYPE.OPT, 128]) {
      assert.equal(isCacheable(type, CLASS.IN), false);
    }
  });
});

describe('lifetime', () => {
  const keep = { capacity: 1, minTtlSeconds: 5, maxTtlSeconds: 3_600 };

  function lifetime(response: Partial<NewResponse>, rule: TtlRule, bounds = keep) {
    const { wire } = replyTo(queryFor({}, 0), response, 0);
    const found = lifetimeOf(wire, readRecords(wire) ?? [], rule, bounds);
    const ttls = (readRecords(found.wire) ?? []).map((record) => record.ttlSeconds);
    return { ttlSeconds: found.ttlSeconds, ttls, isSame: found.wire === wire };
  }

  it('bounds the TTL of each record; the lowest one is that of the answer', () => {
    const answer = [0, 60, 100_000].map((ttl) => addressRecord(ttl));
    assert.deepEqual(lifetime({ answer }, 'records'), {
      ttlSeconds: 5,
      ttls: [5, 60, 3_600],
      isSame: false,
    });
  });

  it('returns the same bytes where no TTL changes', () => {
    const response = { answer: [a], additional: [addressRecord(30)] };
    assert.deepEqual(lifetime(response, 'records'), {
      ttlSeconds: 30,
      ttls: [60, 30],
      isSame: true,
    });
  });

  it('reads a TTL with the highest bit set as 0', () => {
    const response = { answer: [addressRecord(0x80000000)] };
    const { ttlSeconds } = lifetime(response, 'records', { ...keep, minTtlSeconds: 0 });
    assert.equal(ttlSeconds, 0);
  });

  it('uses the smaller of SOA TTL and MINIMUM for a denial', () => {
    for (const [ttl, minimum, expected] of [
      [3_600, 30, 30],
      [30, 3_600, 30],
      [3_600, 0, 5],
      [86_400, 86_400, 3_600],
    ] as const) {
      const { ttlSeconds, ttls } = lifetime({ authority: [soaRecord(ttl, minimum)] }, 'negative');
      assert.deepEqual([ttlSeconds, ttls], [expected, [expected]]);
    }
  });

  it('ignores the MINIMUM of an SOA that was asked for', () => {
    assert.equal(lifetime({ answer: [soaRecord(600, 30)] }, 'records').ttlSeconds, 600);
  });

  it('falls back to 5 seconds, within the bounds', () => {
    assert.equal(lifetime({}, 'records').ttlSeconds, 5);
    assert.equal(lifetime({ authority: [ns] }, 'base').ttlSeconds, 5);
    assert.equal(lifetime({}, 'records', { ...keep, maxTtlSeconds: 2 }).ttlSeconds, 2);
  });
});
