import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressBytes } from '../../../agent/base/address.ts';
import {
  byteKey,
  expandName,
  isSubdomain,
  labelCount,
  lowerName,
  nameFromText,
  nameToText,
  readName,
  sameName,
  skipName,
} from '../../../agent/dns/name.ts';
import { writeReversed } from '../../../agent/dns/reverse-name.ts';

const bytes = (...parts: (number | string)[]): Uint8Array =>
  Buffer.concat(
    parts.map((p) => (typeof p === 'number' ? Buffer.of(p) : Buffer.from(p, 'latin1'))),
  );

const L63 = 'x'.repeat(63);

describe('names in text', () => {
  for (const [text, wire, back] of [
    ['.', bytes(0), '.'],
    ['', bytes(0), '.'],
    ['example.org', bytes(7, 'example', 3, 'org', 0), 'example.org.'],
    ['Example.ORG.', bytes(7, 'Example', 3, 'ORG', 0), 'Example.ORG.'],
    ['a\\.b.c', bytes(3, 'a.b', 1, 'c', 0), 'a\\.b.c.'],
    ['a\\000\\255', bytes(3, 'a\x00\xff', 0), 'a\\000\\255.'],
    ['a\\\\b', bytes(3, 'a\\b', 0), 'a\\\\b.'],
    ['\\097\\"\\;\\(\\)\\@\\$', bytes(7, 'a";()@$', 0), 'a\\"\\;\\(\\)\\@\\$.'],
    ['a b', bytes(3, 'a b', 0), 'a\\032b.'],
    ['é', bytes(2, '\xc3\xa9', 0), '\\195\\169.'],
    ['*._tcp', bytes(1, '*', 4, '_tcp', 0), '*._tcp.'],
  ] as const) {
    it(`${JSON.stringify(text)} there and back`, () => {
      assert.deepEqual(Buffer.from(nameFromText(text)), Buffer.from(wire));
      assert.equal(nameToText(wire), back);
    });
  }

  for (const [text, message] of [
    ['..', /empty label/],
    ['.example', /empty label/],
    ['a..b', /empty label/],
    ['a..', /empty label/],
    [`x${L63}`, /label over 63/],
    [`${`${L63}.`.repeat(3)}${'y'.repeat(62)}`, /name over 255/],
    ['a\\', /ends in a backslash/],
    ['a\\256', /over 255/],
  ] as const) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}: ${message.source}`, () => {
      assert.throws(() => nameFromText(text), { name: 'RangeError', message });
    });
  }

  it('accepts the longest label and the longest name', () => {
    assert.equal(nameFromText(`${`${L63}.`.repeat(3)}${'y'.repeat(61)}`).length, 255);
    assert.equal(nameFromText('a.'.repeat(127)).length, 255);
  });
});

describe('expandName', () => {
  const out = new Uint8Array(255);
  const expand = (wire: Uint8Array, at: number, end = wire.length): number =>
    expandName(wire, at, end, out);

  it('follows pointers back, and pointers behind pointers', () => {
    const wire = bytes(3, 'org', 0, 7, 'example', 0xc0, 0, 3, 'www', 0xc0, 5);
    assert.equal(nameToText(readName(wire, 15, wire.length) ?? bytes()), 'www.example.org.');
    assert.equal(nameToText(readName(wire, 5, wire.length) ?? bytes()), 'example.org.');
  });

  for (const [fault, wire, at] of [
    ['a pointer to itself', bytes(0xc0, 0), 0],
    ['a pointer forward', bytes(0xc0, 2, 1, 'a', 0), 0],
    ['two pointers in a circle', bytes(0xc0, 2, 0xc0, 0), 2],
    ['a pointer into its own labels', bytes(1, 'a', 1, 'b', 0xc0, 2), 0],
    ['a pointer to the start of its own labels', bytes(0, 1, 'a', 0xc0, 1), 1],
    ['half a pointer', bytes(0xc0), 0],
    ['a pointer behind the end', bytes(0xff, 0xff), 0],
    ['a label that runs over the end', bytes(2, 'a'), 0],
    ['no root', bytes(1, 'a'), 0],
    ['label type 01', bytes(0x40, 0), 0],
    ['label type 10', bytes(0x80, 0), 0],
    ['a start behind the end', bytes(0), 1],
  ] as const) {
    it(`refuses ${fault}`, () => {
      assert.equal(expand(wire, at), -1);
      assert.equal(readName(wire, at, wire.length), undefined);
    });
  }

  it('refuses a name that only pointers make longer than 255', () => {
    const piece = Buffer.from(nameFromText(`${L63}.${L63}.${L63}`));
    const wire = Buffer.concat([
      piece,
      bytes(61, 'y'.repeat(61), 0xc0, 0, 62, 'z'.repeat(62), 0xc0, 0),
    ]);
    assert.equal(expand(wire, piece.length), 255);
    assert.equal(expand(wire, piece.length + 64), -1);
  });

  it('follows as many pointers as a name has labels, and no more', () => {
    const chain = (hops: number): Buffer => {
      const wire = Buffer.alloc(1 + 2 * hops);
      for (let i = 0; i < hops; i++) wire.writeUInt16BE(0xc000 | Math.max(0, 2 * i - 1), 1 + 2 * i);
      return wire;
    };
    assert.equal(expand(chain(127), 1 + 2 * 126), 1);
    assert.equal(expand(chain(128), 1 + 2 * 127), -1);
  });

  it('never reads beyond the given end', () => {
    const wire = bytes(3, 'www', 0xc0, 7, 0, 0);
    for (let end = 0; end < wire.length; end++) assert.equal(expand(wire, 0, end), -1);
  });
});

describe('skipName', () => {
  for (const [what, wire, expected] of [
    ['the root', bytes(0), 1],
    ['labels', bytes(1, 'a', 2, 'bc', 0, 9), 6],
    ['a pointer, wherever it leads', bytes(0xff, 0xff), 2],
    ['labels and a pointer', bytes(1, 'a', 0xc0, 0), 4],
    ['nothing', bytes(), -1],
    ['a label over the end', bytes(5, 'a'), -1],
    ['labels without root', bytes(1, 'a'), -1],
    ['half a pointer', bytes(1, 'a', 0xc0), -1],
    ['label type 01', bytes(0x41, 0), -1],
    ['label type 10', bytes(0xbf, 0), -1],
    ['255 bytes', Buffer.concat([Buffer.from('\x01a'.repeat(127)), bytes(0)]), 255],
    ['257 bytes', Buffer.concat([Buffer.from('\x01a'.repeat(128)), bytes(0)]), -1],
  ] as const) {
    it(`${what}: ${expected}`, () => assert.equal(skipName(wire, 0, wire.length), expected));
  }
});

describe('comparing names', () => {
  const name = nameFromText;

  it('folds ASCII letters and nothing else', () => {
    assert.ok(sameName(name('EXAMPLE.org'), name('example.ORG')));
    assert.ok(!sameName(name('a[b'), name('a{b')));
    assert.ok(!sameName(name('\\200'), name('\\232')));
    assert.ok(!sameName(name('ab'), name('a')));
    assert.deepEqual(lowerName(name('AZ@[')), name('az@['));
  });

  it('recognises subdomains by whole labels', () => {
    for (const [inner, zone, expected] of [
      ['www.example.org', 'Example.Org', true],
      ['example.org', 'example.org', true],
      ['example.org', '.', true],
      ['.', '.', true],
      ['.', 'org', false],
      ['org', 'example.org', false],
      ['badexample.org', 'example.org', false],
      ['a\\.example.org', 'example.org', false],
      ['a\\007example.org', 'example.org', false],
    ] as const) {
      assert.equal(isSubdomain(name(inner), name(zone)), expected, `${inner} in ${zone}`);
    }
  });

  it('counts labels', () => {
    assert.deepEqual(
      ['.', 'org', 'a.b.c.'].map((text) => labelCount(name(text))),
      [0, 1, 3],
    );
  });

  it('returns keys that differ where names differ', () => {
    const texts = ['.', 'a', 'b', 'a.b', 'a\\.b', '\\200', '\\201', 'A'];
    assert.equal(new Set(texts.map((text) => byteKey(name(text)))).size, texts.length);
    assert.equal(byteKey(name('a')), '\u0001a\u0000');
  });
});

const out = new Uint8Array(16);

function reversed(text: string): number[] {
  return [...out.subarray(0, writeReversed(nameFromText(text), out))];
}

describe('writeReversed', () => {
  it('reads the addresses of both families', () => {
    assert.deepEqual(reversed('4.3.2.1.in-addr.arpa'), [1, 2, 3, 4]);
    assert.deepEqual(reversed('0.255.0.10.in-addr.arpa'), [10, 0, 255, 0]);
    const nibbles = [...'fd0000000000000000000000000000ab'].reverse().join('.');
    assert.deepEqual(reversed(`${nibbles}.ip6.arpa`), [...addressBytes('fd00::ab')]);
  });

  it('reads no other name', () => {
    const names = [
      '.',
      'in-addr.arpa',
      '3.2.1.in-addr.arpa',
      '5.4.3.2.1.in-addr.arpa',
      '04.3.2.1.in-addr.arpa',
      '256.3.2.1.in-addr.arpa',
      'a.3.2.1.in-addr.arpa',
      '4.3.2.1.ip6.arpa',
      '4.3.2.1.in-addr.test',
    ];
    for (const name of names) assert.deepEqual(reversed(name), [], name);
  });
});
