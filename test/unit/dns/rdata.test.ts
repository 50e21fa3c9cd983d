import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { type Part, partEnd, shapeOf } from '../../../agent/dns/rdata.ts';

/** Whether RDATA has exactly the length that its type requires. */
function fits(type: number, rdata: Uint8Array, qclass: number = CLASS.IN): boolean | undefined {
  const shape = shapeOf(type, qclass);
  if (shape === undefined) return undefined;
  let at = 0;
  for (const part of shape.parts) {
    at = partEnd(rdata, at, rdata.length, part);
    if (at < 0) return false;
  }
  return at === rdata.length;
}

const zeros = (count: number): number[] => new Array<number>(count).fill(0);
const NAME = [...nameFromText('a.example.')];

/** RDATA of each type with a fixed length. */
const EXACT: readonly (readonly [number, readonly number[]])[] = [
  [TYPE.A, [192, 0, 2, 1]],
  [TYPE.AAAA, zeros(16)],
  ...[2, 3, 4, 5, 7, 8, 9, 12, 23, 39].map((type) => [type, NAME] as const),
  [TYPE.SOA, [...NAME, ...NAME, ...zeros(20)]],
  [14, [...NAME, ...NAME]],
  [TYPE.RP, [...NAME, ...NAME]],
  [26, [0, 1, ...NAME, ...NAME]],
  ...[15, 18, 21, 36].map((type) => [type, [0, 1, ...NAME]] as const),
  [TYPE.SRV, [...zeros(6), ...NAME]],
  [TYPE.NAPTR, [...zeros(4), 1, 117, 0, 2, 33, 33, ...NAME]],
  [TYPE.HINFO, [1, 65, 0]],
  [27, [1, 49, 1, 50, 1, 51]],
  [19, [2, 49, 50]],
  [TYPE.LOC, zeros(16)],
  [TYPE.NSEC3PARAM, [1, 0, 0, 0, 1, 9]],
  [104, zeros(10)],
  [105, zeros(6)],
  [106, zeros(10)],
  [107, [0, 1, ...NAME]],
  [TYPE.EUI48, zeros(6)],
  [TYPE.EUI64, zeros(8)],
];

/** The shortest RDATA of each type that may be longer. */
const LEAST: readonly (readonly [number, readonly number[]])[] = [
  [11, zeros(5)],
  [TYPE.KEY, zeros(4)],
  [30, NAME],
  [TYPE.SIG, [...zeros(18), ...NAME, 1]],
  [TYPE.RRSIG, [...zeros(18), ...NAME, 1]],
  [TYPE.CERT, zeros(6)],
  [TYPE.DS, zeros(5)],
  [TYPE.SSHFP, zeros(3)],
  [TYPE.NSEC, NAME],
  [TYPE.DNSKEY, zeros(4)],
  [TYPE.DHCID, [1]],
  [TYPE.NSEC3, zeros(6)],
  [TYPE.TLSA, zeros(4)],
  [TYPE.SMIMEA, zeros(4)],
  [TYPE.CDS, zeros(5)],
  [TYPE.CDNSKEY, zeros(4)],
  [TYPE.OPENPGPKEY, [1]],
  [TYPE.CSYNC, zeros(6)],
  [TYPE.ZONEMD, zeros(7)],
  [TYPE.URI, zeros(5)],
  [TYPE.CAA, [0, 1, 97]],
];

describe('RDATA', () => {
  for (const [type, rdata] of EXACT) {
    it(`of type ${type} has exactly this length`, () => {
      assert.equal(fits(type, Uint8Array.from(rdata)), true);
      assert.equal(fits(type, Uint8Array.from([...rdata, 0])), false);
      for (let length = 0; length < rdata.length; length++)
        assert.equal(fits(type, Uint8Array.from(rdata.slice(0, length))), false, `${length}`);
    });
  }

  for (const [type, rdata] of LEAST) {
    it(`of type ${type} has at least this length`, () => {
      assert.equal(fits(type, Uint8Array.from(rdata)), true);
      assert.equal(fits(type, Uint8Array.from([...rdata, 1, 2, 3])), true);
      for (let length = 0; length < rdata.length; length++)
        assert.equal(fits(type, Uint8Array.from(rdata.slice(0, length))), false, `${length}`);
    });
  }

  it('of text is one whole string or more', () => {
    for (const type of [TYPE.TXT, TYPE.SPF, 20]) {
      for (const good of [[0], [1, 65], [1, 65, 0], [2, 1, 1, 1, 1]])
        assert.equal(fits(type, Uint8Array.from(good)), true);
      for (const bad of [[], [1], [1, 65, 1], [255]])
        assert.equal(fits(type, Uint8Array.from(bad)), false);
    }
  });

  it('of a service binding has a name without pointers, and whole parameters', () => {
    for (const type of [TYPE.SVCB, TYPE.HTTPS]) {
      for (const good of [
        [0, 1, 0],
        [0, 0, ...NAME],
        [0, 1, 0, 0, 3, 0, 2, 1, 187],
      ])
        assert.equal(fits(type, Uint8Array.from(good)), true);
      for (const bad of [
        [],
        [0, 1],
        [0, 1, 192, 12],
        [0, 1, 1, 65, 192, 12],
        [0, 1, 0, 0, 3, 0, 3, 1],
      ])
        assert.equal(fits(type, Uint8Array.from(bad)), false);
    }
  });

  it('is opaque where the type is unknown, or known in another class only', () => {
    for (const type of [
      0,
      TYPE.NULL,
      TYPE.APL,
      TYPE.HIP,
      TYPE.IPSECKEY,
      TYPE.OPT,
      258,
      65_400,
      65_535,
    ])
      assert.equal(fits(type, Uint8Array.of(1)), undefined);
    assert.equal(fits(TYPE.A, Uint8Array.from([...NAME, 1, 2]), CLASS.CH), undefined);
    assert.equal(fits(TYPE.TXT, Uint8Array.of(1), CLASS.CH), false);
  });

  it('is not read beyond its end', () => {
    const parts: Part[] = [4, 'name', 'plain', 'text', 'texts', 'params', 'some', 'rest'];
    const wire = Uint8Array.from([3, 97, 98, 99, 0, 0, 0, 0, 0]);
    for (const part of parts) {
      for (let end = 0; end < 4; end++) {
        const found = partEnd(wire, 0, end, part);
        assert.ok(found <= end, `${part} in ${end}`);
      }
    }
  });
});
