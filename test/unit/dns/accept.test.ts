import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { flagsOf } from '../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { type Asked, acceptReply } from '../../../agent/dns/reply/accept.ts';
import {
  accepted,
  asking,
  bytes,
  kept,
  labels,
  type Made,
  made,
  NAME,
  record,
} from '../../support/dns/replies.ts';
import { expanded, writeMessage } from '../../support/dns/wire-messages.ts';
import { packetsIn } from '../../support/packets/read.ts';

/** The question that a packet of the corpus repeats, or should have repeated. */
function askedIn(wire: Buffer): Asked {
  const end = 12 + nameFromText(NAME).length;
  const isThere = wire.length >= end + 4 && wire.readUInt16BE(4) > 0;
  return asking(NAME, isThere ? wire.readUInt16BE(end) : TYPE.A, true);
}

describe('acceptReply refuses', () => {
  for (const folder of ['malformed', 'malformed-records', 'unrelated']) {
    for (const { name, bytes: wire } of packetsIn(`replies/${folder}`)) {
      const expected = folder === 'unrelated' ? 'unrelated' : 'malformed';
      it(`${name} as ${expected}`, () => assert.equal(acceptReply(wire, askedIn(wire)), expected));
    }
  }

  it('a record that is too short or too long for its type, whatever the type', () => {
    // Types with at least one byte before a part of any length.
    const fixed = [
      ['A', 4],
      ['AAAA', 16],
      ['LOC', 16],
      ['EUI48', 6],
      ['EUI64', 8],
    ] as const;
    for (const [type, length] of fixed) {
      for (const actual of [0, length - 1, length, length + 1]) {
        const rdata = [bytes(...new Array<number>(actual).fill(0))];
        const records = [{ ...record(`${NAME} A`), type: TYPE[type], rdata }];
        const wire = writeMessage({ question: labels(NAME), type: TYPE[type], records });
        const reply = acceptReply(wire, asking(NAME, TYPE[type]));
        assert.equal(typeof reply === 'string', actual !== length, `${type} of ${actual}`);
      }
    }
  });

  it('no opaque RDATA, and no address of another class', () => {
    for (const [type, qclass] of [
      [65_400, 1],
      [TYPE.NULL, 1],
      [TYPE.A, 3],
    ] as const) {
      const rdata = [bytes(0xc0, 0x00, 0xff)];
      const records = [{ ...record(`${NAME} A`), type, class: qclass, rdata }];
      const wire = writeMessage({ question: labels(NAME), type, records });
      wire.writeUInt16BE(qclass, 12 + nameFromText(NAME).length + 2);
      const reply = accepted(wire, { ...asking(NAME, type), class: qclass });
      assert.deepEqual(expanded(reply.wire), expanded(wire));
    }
  });
});

describe('acceptReply keeps the records of the chain from the question', () => {
  const cases: readonly [string, Made][] = [
    ['a chain', { answer: [`${NAME} CNAME b.x`, 'b.x CNAME c.x', 'c.x A'] }],
    ['a chain backwards', { answer: ['c.x A', 'b.x CNAME c.x', `${NAME} CNAME b.x`] }],
    ['a chain in other letters', { answer: ['WWW.Example.ORG CNAME B.x', 'b.X A'] }],
    ['an alias to itself', { type: 'CNAME', answer: [`${NAME} CNAME ${NAME}`] }],
    ['an alias that ends nowhere', { answer: [`${NAME} CNAME b.x`] }],
    ['another type than was asked for', { type: 'AAAA', answer: [`${NAME} A`] }],
    ['everything for ANY', { type: 'ANY', answer: [`${NAME} A`, `${NAME} TXT`] }],
    ['signatures that were asked for', { type: 'RRSIG', answer: [`${NAME} RRSIG`] }],
    [
      'a DNAME with the alias it makes',
      { answer: ['example.org DNAME x', `${NAME} CNAME www.x`, 'www.x A'] },
    ],
    ['a DNAME without it', { answer: ['example.org DNAME x', 'www.x A'] }],
    [
      'DNAMEs behind an alias',
      {
        answer: [`${NAME} CNAME a.b.y`, 'b.y DNAME z', 'z DNAME example.com', 'a.example.com A'],
      },
    ],
    [
      'a zone, whatever its names',
      { name: 'example.org', type: 'AXFR', answer: ['example.org SOA x', 'a.example.org A'] },
    ],
  ];
  for (const [what, message] of cases) {
    it(what, () => {
      for (const compressed of [false, true]) {
        const { wire, asked } = made({ ...message, compressed });
        const reply = accepted(wire, asked);
        assert.deepEqual(expanded(reply.wire), expanded(wire));
      }
    });
  }

  it('and omits the others', () => {
    const answer = ['evil.x A', `${NAME} CNAME b.x`, 'evil.x TXT', 'b.x A', 'b.x A', 'x A'];
    for (const compressed of [false, true]) {
      const { wire, asked } = made({ answer, additional: ['evil.x A'], compressed });
      const reply = accepted(wire, asked);
      assert.deepEqual(kept(reply), [`${NAME} CNAME, b.x A, b.x A`, '', 'evil.x A']);
    }
  });

  it('and omits records of another class', () => {
    const records = [record(`${NAME} A`), { ...record(`${NAME} A`, 2), class: 3 }];
    const wire = writeMessage({ question: labels(NAME), type: TYPE.A, records });
    assert.equal(accepted(wire, asking(NAME, TYPE.A)).records.length, 1);
  });

  it('and follows no alias of another class', () => {
    const alias = { ...record(`${NAME} CNAME b.x`), class: 3 };
    const records = [alias, record('b.x A')];
    const wire = writeMessage({ question: labels(NAME), type: TYPE.A, records });
    assert.equal(acceptReply(wire, asking(NAME, TYPE.A)), 'unrelated');
  });

  it('and accepts a denial all the same', () => {
    const authority = ['example.org SOA example.org'];
    const { wire, asked } = made({ answer: ['evil.x A'], authority, rcode: RCODE.NXDOMAIN });
    const reply = accepted(wire, asked);
    assert.deepEqual(kept(reply), ['', 'example.org SOA', '']);
    assert.equal(reply.rcode, RCODE.NXDOMAIN);
  });
});

describe('acceptReply omits DNSSEC records', () => {
  const answer = [`${NAME} A`, `${NAME} RRSIG`];
  const authority = ['example.org NSEC', 'example.org NSEC3', 'example.org DS', 'example.org NS x'];
  const additional = ['x A', 'x RRSIG', 'x DNSKEY'];

  it('that were not asked for', () => {
    for (const compressed of [false, true]) {
      const { wire, asked } = made({ answer, authority, additional, compressed });
      assert.deepEqual(kept(accepted(wire, asked)), [`${NAME} A`, 'example.org NS', 'x A']);
    }
  });

  it('but not for clients with DO', () => {
    const { wire, asked } = made({ answer, authority, additional });
    const reply = accepted(wire, { ...asked, dnssecOk: true });
    assert.deepEqual(expanded(reply.wire), expanded(wire));
  });

  it('but not in the answer to a question for them', () => {
    for (const type of ['DS', 'DNSKEY', 'NSEC', 'RRSIG'] as const) {
      const { wire, asked } = made({ type, answer: [`${NAME} ${type}`] });
      assert.deepEqual(kept(accepted(wire, asked)), [`${NAME} ${type}`, '', '']);
    }
    const any = made({ type: 'ANY', answer });
    assert.deepEqual(kept(accepted(any.wire, any.asked))[0], `${NAME} A, ${NAME} RRSIG`);
  });
});

describe('acceptReply inserts the question', () => {
  it('into an error without it', () => {
    for (const [edns, rcode] of [
      [false, RCODE.FORMERR],
      [true, RCODE.FORMERR],
      [true, RCODE.REFUSED],
      [false, RCODE.NOTIMP],
    ] as const) {
      const opt = edns ? '0000290200000000000000' : '';
      const header = `1234818${rcode}00000000000000${edns ? '01' : '00'}`;
      const wire = Buffer.from(header + opt, 'hex');
      assert.equal(wire.length, edns ? 23 : 12);
      const reply = accepted(wire, asking(NAME, TYPE.A));
      assert.equal(reply.rcode, rcode);
      assert.deepEqual(decode(reply.wire).questions, [{ name: NAME, type: 'A', class: 'IN' }]);
      assert.equal(flagsOf(reply.wire) & 0xf, rcode);
    }
  });
});

describe('acceptReply undoes random letter case', () => {
  const SPELT = 'wWw.ExAmPlE.oRg';
  const randomizedName = nameFromText(SPELT);
  const restored = (message: Made): string[] => {
    const { wire } = made({ ...message, name: SPELT });
    const before = Buffer.from(wire);
    const asked = asking(NAME, TYPE[message.type ?? 'A']);
    const reply = accepted(wire, asked, randomizedName);
    assert.deepEqual(wire, before);
    return expanded(reply.wire).map((line) => {
      const [, owner = '', , rdata = ''] = `0 ${line}`.replace(/^0 (?=[012] )/, '').split(' ');
      return `${Buffer.from(owner, 'hex')} ${Buffer.from(rdata, 'hex')}`.replaceAll(/[^\w ]/g, '.');
    });
  };

  for (const compressed of [false, true]) {
    it(`in ${compressed ? 'compressed' : 'plain'} names`, () => {
      const texts = restored({
        compressed,
        answer: [`${SPELT} CNAME UP.ExAmPlE.oRg`, 'UP.ExAmPlE.oRg A'],
        authority: ['ExAmPlE.oRg NS nS.ExAmPlE.oRg', 'WWW.EXAMPLE.ORG NS x'],
      });
      const found = texts.join(' ');
      assert.doesNotMatch(found, /wWw|ExAmPlE|oRg|WWW/);
      // The server's own letter case stays.
      assert.match(found, /UP\.example\.org/);
      assert.match(found, /nS\.example\.org/);
    });
  }

  it('in the alias that a DNAME creates', () => {
    const answer = ['ExAmPlE.oRg DNAME Other.X', `${SPELT} CNAME wWw.Other.X`, 'wWw.Other.X A'];
    const found = restored({ answer }).join(' ');
    assert.doesNotMatch(found, /wWw|ExAmPlE|oRg/);
    assert.match(found, /www\.Other\.X/);
  });
});
