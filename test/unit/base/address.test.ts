import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  addressBytes,
  cidrContains,
  familyOf,
  formatAddress,
  formatEndpoint,
  isLinkLocal,
  parseCidr,
  parseEndpoint,
  parsePort,
} from '../../../agent/base/address.ts';

const WORDS = [
  '0.0.0.0',
  '255.255.255.255',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '256.1.1.1',
  '::',
  '::1',
  '1::',
  'fe80::1%eth0',
  '1:2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7::',
  '::ffff:10.0.0.1',
  '64:ff9b::192.0.2.1',
  '1::2::3',
  ':::',
  '12345::',
  'fe80::1%',
  'fe80::1%a%b',
  'fe80::1%é',
  '::1\0',
  '1:2:3:4:5:6:7:192.0.2.1',
  '::192.0.2.01',
  'localhost',
  '',
];

describe('familyOf', () => {
  for (const word of WORDS) {
    it(`${JSON.stringify(word)}: ${isIP(word)}`, () => {
      assert.equal(familyOf(word) ?? 0, isIP(word));
    });
  }

  it('is what node:net says, for any text of the letters that addresses have', () => {
    const letters = fc.constantFrom(...'0123af:::..%');
    const text = fc.string({ unit: letters, maxLength: 45 });
    const similar = fc.oneof(
      text,
      fc.ipV6(),
      fc.tuple(fc.ipV6(), text).map((two) => two.join('')),
    );
    fc.assert(fc.property(similar, (word) => (familyOf(word) ?? 0) === isIP(word)));
  });
});

describe('address bytes', () => {
  for (const [text, hex, canonical = text] of [
    ['10.1.2.255', '0a0102ff'],
    ['::', '0'.repeat(32)],
    ['::1', `${'0'.repeat(31)}1`],
    ['1::', `0001${'0'.repeat(28)}`],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008', '0:2:3:4:5:6:7:8'],
    ['FD00:0:0:1::A', 'fd00000000000001000000000000000a', 'fd00:0:0:1::a'],
    ['1:0:0:2:0:0:0:3', '00010000000000020000000000000003', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '00010000000000020003000000000004', '1::2:3:0:0:4'],
    ['::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
    ['::ffff:a00:1', '00000000000000000000ffff0a000001', '::ffff:10.0.0.1'],
    ['64:ff9b::192.0.2.1', '0064ff9b0000000000000000c0000201', '64:ff9b::c000:201'],
    ['fe80::1%eth0', `fe80${'0'.repeat(27)}1`, 'fe80::1'],
  ] as const) {
    it(`${text} is ${hex}`, () => {
      const bytes = addressBytes(text);
      assert.equal(Buffer.from(bytes).toString('hex'), hex);
      assert.equal(formatAddress(bytes), canonical);
    });
  }

  it('are refused for anything else', () => {
    for (const word of [...WORDS.filter((text) => isIP(text) === 0), '1.2.3.4%eth0', '::1/64']) {
      assert.throws(() => addressBytes(word), RangeError, word);
    }
  });
});

describe('parseEndpoint', () => {
  for (const [text, expected] of [
    ['10.0.0.1', '10.0.0.1:53'],
    ['10.0.0.1:5353', '10.0.0.1:5353'],
    ['fd00::1', '[fd00::1]:53'],
    ['[fd00::1]', '[fd00::1]:53'],
    ['[fd00::1]:5353', '[fd00::1]:5353'],
    ['[fe80::1%eth0]:53', '[fe80::1%eth0]:53'],
    ['fd00::1:5353', '[fd00::1:5353]:53'],
    ['10.0.0.1:0', undefined],
    ['10.0.0.1:65536', undefined],
    ['10.0.0.1:', undefined],
    ['10.0.0.1:5x', undefined],
    [':53', undefined],
    ['[10.0.0.1]:53', undefined],
    ['[fd00::1', undefined],
    ['[fd00::1]:', undefined],
    ['[fd00::1]x', undefined],
    ['localhost:53', undefined],
    ['10.0.0:53', undefined],
    ['', undefined],
  ] as const) {
    it(`${JSON.stringify(text)}: ${expected ?? 'no'}`, () => {
      const endpoint = parseEndpoint(text, 53);
      assert.equal(endpoint && formatEndpoint(endpoint), expected);
    });
  }
});

describe('parsePort', () => {
  it('accepts numbers from 1 to 65535', () => {
    assert.deepEqual(
      ['1', '65535', '0', '65536', '-1', '1.5', '', ' 53', '053', '0x35', '100000'].map(parsePort),
      [
        1,
        65_535,
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        53,
        undefined,
        undefined,
      ],
    );
  });
});

describe('networks', () => {
  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/9',
    '10.0.0/8',
    'fd00::/129',
    '/8',
    '',
    '10.0.0.0/8x',
  ]) {
    it(`${JSON.stringify(text)} is none`, () => assert.equal(parseCidr(text), undefined));
  }

  for (const network of [
    '10.0.0.0/8',
    '10.128.0.0/9',
    '192.0.2.1',
    '0.0.0.0/0',
    '192.0.2.252/31',
    'fd00::/8',
    'fe80::/10',
    '::/0',
    '2001:db8::8000/113',
    '::1',
  ]) {
    it(`${network} contains what node:net says`, () => {
      const cidr = parseCidr(network);
      assert.ok(cidr !== undefined);
      const family = cidr.family === 4 ? 'ipv4' : 'ipv6';
      const oracle = new BlockList();
      oracle.addSubnet(network.split('/', 1)[0] as string, cidr.prefix, family);
      const candidates =
        cidr.family === 4
          ? [
              '10.0.0.1',
              '10.127.255.255',
              '10.128.0.0',
              '11.0.0.0',
              '192.0.2.1',
              '192.0.2.253',
              '192.0.2.254',
            ]
          : [
              '::1',
              '::2',
              'fd12::1',
              'fc00::1',
              'fe80::1',
              'febf::1',
              'fec0::1',
              '2001:db8::7fff',
              '2001:db8::8001',
            ];
      for (const candidate of candidates) {
        assert.equal(
          cidrContains(cidr, addressBytes(candidate)),
          oracle.check(candidate, family),
          candidate,
        );
      }
    });
  }

  it('do not contain addresses of the other family', () => {
    const all = parseCidr('0.0.0.0/0');
    assert.ok(all !== undefined && !cidrContains(all, addressBytes('::')));
  });
});

it('tells link-local addresses from others', () => {
  for (const address of ['169.254.20.10', 'fe80::1', 'febf:1::1']) assert.ok(isLinkLocal(address));
  for (const address of ['169.25.4.1', '10.169.254.1', 'fec0::1', 'fe8::1', 'fd00::fe80', '::1'])
    assert.equal(isLinkLocal(address), false, address);
});
