import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { buildResponse } from '../../../agent/dns/build.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import { recordFromText } from '../../../agent/dns/text.ts';

/** The record's data as another implementation reads it. */
function readBack(text: string): unknown {
  const record = recordFromText(text);
  const question = { name: nameFromText('q.example'), type: TYPE.A, class: CLASS.IN };
  const wire = buildResponse(question, { rcode: 0, flags: 0, answer: [record] });
  const [answer] = decode(wire).answers ?? [];
  assert.ok(answer !== undefined && 'data' in answer);
  return Array.isArray(answer.data) ? answer.data.map(String) : answer.data;
}

describe('recordFromText', () => {
  for (const [text, expected] of [
    ['a.example A 192.0.2.1', '192.0.2.1'],
    ['a.example. 60 IN AAAA fd00::1', 'fd00::1'],
    ['a.example CNAME b.example', 'b.example'],
    ['a.example PTR b.example.', 'b.example'],
    ['a.example MX 10 mail.example', { preference: 10, exchange: 'mail.example' }],
    ['a SRV 1 2 80 b', { priority: 1, weight: 2, port: 80, target: 'b' }],
    ['a TXT one "two three" "a\\"b\\065"', ['one', 'two three', 'a"bA']],
    ['a TXT "a;b" ; comment', ['a;b']],
    ['a HINFO cpu "an os"', { cpu: 'cpu', os: 'an os' }],
    [
      'a CAA 0 issue "ca.example"',
      { flags: 0, tag: 'issue', value: 'ca.example', issuerCritical: false },
    ],
    ['a TYPE1 \\# 4 c000 0201', '192.0.2.1'],
  ] as const) {
    it(text, () => assert.deepEqual(readBack(text), expected));
  }

  it('reads an SOA with parentheses and units', () => {
    const data = readBack('a 1h IN SOA ns.a admin.a (\n 1 60 2m 1d\n 1w )') as object;
    assert.deepEqual(
      { ...data },
      {
        mname: 'ns.a',
        rname: 'admin.a',
        serial: 1,
        refresh: 60,
        retry: 120,
        expire: 86_400,
        minimum: 604_800,
      },
    );
  });

  it('reads TTL and class in either order, or neither', () => {
    const head = (text: string) => {
      const { ttlSeconds, class: qclass, name } = recordFromText(text);
      return [nameToText(name), ttlSeconds, qclass];
    };
    assert.deepEqual(head('A.example 60 CH A 192.0.2.1'), ['A.example.', 60, CLASS.CH]);
    assert.deepEqual(head('a CH 60 A 192.0.2.1'), ['a.', 60, CLASS.CH]);
    assert.deepEqual(head('. A 192.0.2.1'), ['.', 3_600, CLASS.IN]);
    assert.deepEqual(head('a\\.b.c 1m A 192.0.2.1'), ['a\\.b.c.', 60, CLASS.IN]);
  });

  for (const text of [
    '',
    'a',
    'a 60',
    'a 60 IN',
    'a NOTYPE x',
    'a A',
    'a A 1.2.3',
    'a A 1.2.3.4 5',
    'a AAAA 192.0.2.1',
    'a MX ten b',
    'a MX 65536 b',
    'a..b A 192.0.2.1',
    'a TXT',
    `a TXT "${'x'.repeat(256)}"`,
    'a TXT "open',
    'a SSHFP 1 1 00',
    'a TYPE1 \\# 4 c00002',
    'a TYPE1 \\# 1 zz',
    'a 99999999999 A 192.0.2.1',
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(() => recordFromText(text), { name: 'RangeError' });
    });
  }
});
