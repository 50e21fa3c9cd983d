import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { buildResponse } from '../../../agent/dns/build.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import { recordFromText } from '../../../agent/dns/text/record.ts';

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
    'a TYPE1 \\# 4 c00002',
    'a TYPE1 \\# 1 zz',
    'a 99999999999 A 192.0.2.1',
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(() => recordFromText(text), { name: 'RangeError' });
    });
  }
});

function hexOf(text: string): string {
  return Buffer.from(recordFromText(text).rdata).toString('hex');
}

/** Test vectors of RFC 9460 appendix D. */
describe('SVCB and HTTPS', () => {
  const FOO = '03666f6f076578616d706c6503636f6d00';
  const FOO_ORG = '03666f6f076578616d706c65036f726700';
  for (const [text, expected] of [
    ['HTTPS 0 foo.example.com.', `0000${FOO}`],
    ['SVCB 1 .', '000100'],
    ['SVCB 16 foo.example.com. port=53', `0010${FOO}000300020035`],
    ['SVCB 1 foo.example.com. key667=hello', `0001${FOO}029b000568656c6c6f`],
    ['SVCB 1 foo.example.com. key667="hello\\210qoo"', `0001${FOO}029b000968656c6c6fd2716f6f`],
    [
      'SVCB 1 foo.example.com. ( ipv6hint="2001:db8::1,2001:db8::53:1" )',
      `0001${FOO}0006002020010db800000000000000000000000120010db8000000000000000000530001`,
    ],
    [
      'SVCB 1 example.com. ( ipv6hint="2001:db8:122:344::192.0.2.33" )',
      '0001076578616d706c6503636f6d000006001020010db80122034400000000c0000221',
    ],
    [
      'SVCB 16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )',
      `0010${FOO_ORG}0000000400010004000100090268320568332d313900040004c0000201`,
    ],
    [
      'SVCB 16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
      `0010${FOO_ORG}0001000c08665c6f6f2c626172026832`,
    ],
    [
      'SVCB 16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2',
      `0010${FOO_ORG}0001000c08665c6f6f2c626172026832`,
    ],
  ] as const)
    it(text, () => assert.equal(hexOf(`example.com. ${text}`), expected));

  for (const params of [
    'key123=abc key123=def',
    'mandatory',
    'alpn',
    'port',
    'ipv4hint',
    'ipv6hint',
    'no-default-alpn=abc',
    'mandatory=key123',
    'mandatory=mandatory',
    'mandatory=key123,key123 key123=abc',
    'no-default-alpn',
    'alpn=h2,,h3',
    'port=65536',
    'key65535=a',
    'key01=a',
    'nonsense=a',
    'ipv4hint=2001:db8::1',
    `alpn=${'x'.repeat(256)}`,
  ])
    it(`refuses ${params.slice(0, 40)}`, () => {
      assert.throws(() => recordFromText(`a SVCB 1 foo.example. ${params}`), {
        name: 'RangeError',
      });
    });
});

describe('examples of the RFCs', () => {
  for (const [text, expected] of [
    // RFC 1876 §4.
    ['LOC 42 21 54 N 71 06 18 W -24m 30m', '0033161389172dd070be15f000988d20'],
    // RFC 3123 §5.
    ['APL 1:192.168.32.0/21 !1:192.168.38.0/28', '00011503c0a82000011c83c0a826'],
    // RFC 3597 §5.
    ['A \\# 4 0A000001', '0a000001'],
    ['CLASS32 TYPE731 \\# 6 abcd ( ef 01 23 45 )', 'abcdef012345'],
    ['TYPE62347 \\# 0', ''],
    // RFC 4034 §4.3.
    [
      'NSEC host.example.com. A MX RRSIG NSEC TYPE1234',
      `04686f7374076578616d706c6503636f6d000006400100000003041b${'00'.repeat(26)}20`,
    ],
    // RFC 6742 §2.
    ['NID 10 0014:4fff:ff20:ee64', '000a00144fffff20ee64'],
    ['L64 10 2001:0DB8:1140:1000', '000a20010db811401000'],
    // RFC 7043 §3.2.
    ['EUI48 00-00-5e-00-53-2a', '00005e00532a'],
    // RFC 7553 §4.4.
    [
      'URI 10 1 "ftp://ftp1.example.com/public"',
      `000a0001${Buffer.from('ftp://ftp1.example.com/public').toString('hex')}`,
    ],
    // RFC 8777 §4.3.
    ['AMTRELAY 10 0 1 203.0.113.15', '0a01cb00710f'],
    ['AMTRELAY 10 1 3 a.example.', '0a830161076578616d706c6500'],
  ] as const)
    it(text, () => assert.equal(hexOf(`a ${text}`), expected));

  it('escapes are bytes, not characters', () => {
    assert.equal(hexOf('a TXT "\\200\\255" é'), '02c8ff02c3a9');
    assert.equal(hexOf('a CAA 0 tag "\\000\\;"'), '0003746167003b');
  });
});

describe('input that no type accepts', () => {
  for (const text of [
    'a DS 1 5 1',
    'a DS 65536 5 1 00',
    'a DS 1 NOALG 1 00',
    'a DS 1 5 1 0',
    'a DNSKEY 257 3 13 ****',
    'a NSEC3 1 1 12 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJ! A',
    'a NSEC b NOTYPE',
    'a RRSIG A 13 2 300 20301301000000 0 1 x. AQID',
    'a LOC 91 N 0 E 0',
    'a LOC 1 60 N 0 E 0',
    'a LOC 1 N 181 E 0',
    'a LOC 1 N 0 0',
    'a APL 1:fd00::/8',
    'a APL 3:192.0.2.0/24',
    'a APL 1:192.0.2.0/33',
    'a IPSECKEY 10 0 2 192.0.2.1 AQID',
    'a IPSECKEY 10 4 2 . AQID',
    'a AMTRELAY 10 2 1 192.0.2.1',
    'a HIP 2 0 AQID',
    'a EUI48 00-00-5e-00-53',
    'a NID 10 0014:4fff:ff20',
    'a NSAP 47',
    'a TXT "\\999"',
    'a NULL 00',
    'a ANY 1',
    'a TYPE1234 00',
    'a TYPE1234 "\\\\#" 1 00',
    'a A \\# 2 00',
    'a A \\# x 00',
  ])
    it(`refuses ${text}`, () => {
      assert.throws(() => recordFromText(text), { name: 'RangeError' });
    });
});
