import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { buildResponse } from '../../../agent/dns/build.ts';
import { TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import { rebuild } from '../../../agent/dns/rebuild.ts';
import { readRecords } from '../../../agent/dns/records.ts';

const QUESTION = { name: nameFromText('a.example'), type: TYPE.A, class: 1 };
/** A pointer to the question's name, as old servers write it in any type. */
const POINTER = [0xc0, 12];

function message(type: number, rdata: readonly number[]): Buffer {
  const answer = [{ type, ttlSeconds: 60, rdata: Uint8Array.from(rdata) }];
  return buildResponse(QUESTION, { rcode: 0, flags: 0, answer });
}

function rdataOf(wire: Buffer | undefined): Buffer {
  assert.ok(wire !== undefined);
  const [record] = readRecords(wire) ?? [];
  assert.ok(record !== undefined);
  return wire.subarray(record.rdataStart, record.rdataEnd);
}

const LONG = nameFromText('a.much.longer.name.test');
const WIRE_NAME = [...nameFromText('a.example')];

describe('rebuild', () => {
  it('returns nothing where there is more than one question', () => {
    const wire = message(TYPE.A, [192, 0, 2, 1]);
    const question = wire.subarray(12, 12 + QUESTION.name.length + 4);
    const twice = Buffer.concat([wire.subarray(0, 12), question, wire.subarray(12)]);
    twice.writeUInt16BE(2, 4);
    assert.equal(rebuild(twice, {}), undefined);
  });

  const numbers = (count: number) => Array.from({ length: count }, (_, at) => at + 1);
  for (const [type, before, after] of [
    ['SRV', [0, 1, 0, 2, 0, 80], []],
    ['NAPTR', [0, 1, 0, 2, 1, 0x75, 0, 2, 0x61, 0x62], []],
    ['KX', [0, 7], []],
    ['RRSIG', numbers(18), [9, 9, 9]],
    ['NSEC', [], [0, 1, 0x40]],
    ['AFSDB', [0, 1], []],
    ['DNAME', [], []],
  ] as const) {
    it(`expands a compressed name in ${type}, and copies the data around it`, () => {
      const rdata = rdataOf(rebuild(message(TYPE[type], [...before, ...POINTER, ...after]), {}));
      assert.deepEqual([...rdata], [...before, ...WIRE_NAME, ...after]);
    });
  }

  for (const [type, before, after] of [
    ['MX', [0, 10], []],
    ['CNAME', [], []],
    ['SOA', [...POINTER], numbers(20)],
  ] as const) {
    it(`compresses the name in ${type}`, () => {
      const wire = message(TYPE[type], [...before, ...WIRE_NAME, ...after]);
      const expected = [...before, ...POINTER, ...after];
      assert.deepEqual([...rdataOf(rebuild(wire, {}))], expected);
    });
  }

  it('copies RDATA of unknown types', () => {
    const bytes = [0, 1, ...POINTER, 255];
    assert.deepEqual([...rdataOf(rebuild(message(TYPE.HTTPS, bytes), {}))], bytes);
    assert.deepEqual([...rdataOf(rebuild(message(61_000, bytes), {}))], bytes);
  });

  it('writes another question and points to it', () => {
    const question = { ...QUESTION, name: LONG, type: TYPE.AAAA };
    const wire = rebuild(message(TYPE.A, [192, 0, 2, 1]), { question, owner: () => LONG });
    assert.ok(wire !== undefined);
    const { questions, answers } = decode(wire);
    assert.equal(questions?.[0]?.type, 'AAAA');
    assert.equal(answers?.[0]?.name, 'a.much.longer.name.test');
    assert.equal(wire.length, 12 + LONG.length + 4 + 2 + 10 + 4);
  });

  it('passes the type to the function that renames targets', () => {
    const seen: string[] = [];
    rebuild(message(TYPE.MX, [0, 1, ...POINTER]), {
      target: (name, type) => {
        seen.push(`${nameToText(name)} ${type}`);
        return name;
      },
    });
    assert.deepEqual(seen, ['a.example. 15']);
  });

  it('replaces one record, and omits others', () => {
    const answer = [1, 2].map((last) => ({
      type: TYPE.A,
      ttlSeconds: 60,
      rdata: Uint8Array.of(192, 0, 2, last),
    }));
    const wire = rebuild(buildResponse(QUESTION, { rcode: 0, flags: 0, answer }), {
      keeps: ({ start }) => start > 30,
      substitute: () => ({ type: TYPE.TXT, ttlSeconds: 5, rdata: Uint8Array.of(1, 0x61) }),
    });
    assert.ok(wire !== undefined);
    assert.deepEqual(
      decode(wire).answers?.map((record) => 'ttl' in record && `${record.type} ${record.ttl}`),
      ['TXT 5'],
    );
  });

  it('has no pointer beyond the range of a pointer', () => {
    const answer = Array.from({ length: 400 }, (_, at) => ({
      name: nameFromText(`${'x'.repeat(50)}${at >> 1}.test`),
      type: TYPE.NS,
      ttlSeconds: 1,
      rdata: nameFromText(`${'y'.repeat(50)}${at >> 1}.test`),
    }));
    const wire = buildResponse(QUESTION, { rcode: 0, flags: 0, answer });
    const again = rebuild(wire, { owner: (name) => Uint8Array.from([1, 0x7a, ...name]) });
    assert.ok(again !== undefined && again.length > 0x4000);
    const owners = decode(again).answers?.map(({ name }) => name);
    assert.deepEqual(
      owners,
      answer.map(({ name }) => `z.${nameToText(name).slice(0, -1)}`),
    );
  });

  it('returns nothing for a malformed message or one that becomes too long', () => {
    for (const [type, rdata] of [
      [TYPE.MX, [0]],
      [TYPE.SRV, [0, 0, 0, 0, 0, 0]],
      [TYPE.CNAME, [0xc0, 0xff]],
      [TYPE.NAPTR, [0, 0, 0, 0, 200, 1, 0]],
      [TYPE.CNAME, [3, 0x61]],
    ] as const)
      assert.equal(rebuild(message(type, rdata), {}), undefined, `type ${type}`);
    const many = Array.from({ length: 900 }, (_, at) => ({
      type: TYPE.DNAME,
      ttlSeconds: 1,
      rdata: Uint8Array.of(2, at >> 8, at & 255, 0),
    }));
    const wire = buildResponse(QUESTION, { rcode: 0, flags: 0, answer: many });
    const longest = nameFromText(`${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}`);
    assert.equal(rebuild(wire, { target: () => longest }), undefined);
  });
});
