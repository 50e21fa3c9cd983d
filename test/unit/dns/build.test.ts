import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import {
  buildQuery,
  buildResponse,
  type NewRecord,
  type NewResponse,
} from '../../../agent/dns/build.ts';
import { buildCompressed } from '../../../agent/dns/build-compressed.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';

const QUESTION = { name: nameFromText('www.example.org'), type: TYPE.A, class: CLASS.IN };

describe('buildQuery', () => {
  const fields = { ...QUESTION, id: 0xfffe, flags: FLAG.RD | FLAG.AD, dnssecOk: false };

  it('is read alike by another implementation', () => {
    const packet = decode(buildQuery({ ...fields, udpSizeBytes: 1232, dnssecOk: true }));
    assert.equal(packet.id, 0xfffe);
    assert.equal(packet.type, 'query');
    assert.ok(packet.flag_rd && packet.flag_ad && !packet.flag_cd && !packet.flag_aa);
    assert.deepEqual(packet.questions, [{ name: 'www.example.org', type: 'A', class: 'IN' }]);
    const [opt] = packet.additionals ?? [];
    assert.ok(opt?.type === 'OPT');
    assert.deepEqual(
      [opt.udpPayloadSize, opt.flag_do, opt.ednsVersion, opt.extendedRcode, opt.options],
      [1232, true, 0, 0, []],
    );
  });

  it('has no OPT where the upstream does not support EDNS', () => {
    assert.deepEqual(decode(buildQuery({ ...fields, udpSizeBytes: undefined })).additionals, []);
  });
});

describe('buildResponse', () => {
  it('is read alike by another implementation', () => {
    const wire = buildResponse(QUESTION, {
      rcode: RCODE.NXDOMAIN,
      flags: FLAG.AA,
      answer: [{ type: TYPE.A, ttlSeconds: 0xffffffff, rdata: Uint8Array.of(192, 0, 2, 1) }],
      authority: [
        { name: nameFromText('b.c'), type: TYPE.NS, ttlSeconds: 5, rdata: QUESTION.name },
      ],
      additional: [{ type: TYPE.TXT, ttlSeconds: 0, rdata: Buffer.from('\x02hi') }],
    });
    const packet = decode(wire);
    assert.equal(packet.id, 0);
    assert.equal(packet.type, 'response');
    assert.equal('rcode' in packet && packet.rcode, 'NXDOMAIN');
    assert.ok(packet.flag_aa);
    assert.deepEqual(packet.answers, [
      {
        name: 'www.example.org',
        type: 'A',
        ttl: 0xffffffff,
        class: 'IN',
        flush: false,
        data: '192.0.2.1',
      },
    ]);
    assert.deepEqual(
      packet.authorities?.map(({ name, type }) => [name, type]),
      [['b.c', 'NS']],
    );
    assert.equal(packet.additionals?.length, 1);
    assert.equal(wire.buffer.byteLength, wire.length, 'pins a pool');
  });

  it('keeps the low four bits of an extended rcode', () => {
    const wire = buildResponse(QUESTION, { rcode: RCODE.BADCOOKIE, flags: 0 });
    assert.equal((wire[3] as number) & 0xf, 7);
  });

  it('refuses more bytes than a message can have', () => {
    const record = { type: TYPE.TXT, ttlSeconds: 0, rdata: Buffer.alloc(255) };
    const answer = new Array<typeof record>(246).fill(record);
    assert.throws(() => buildResponse(QUESTION, { rcode: 0, flags: 0, answer }), RangeError);
    assert.ok(buildResponse(QUESTION, { rcode: 0, flags: 0, answer: answer.slice(1) }));
  });
});

const SRV_QUESTION = {
  name: nameFromText('_http._tcp.web.example.org'),
  type: TYPE.SRV,
  class: CLASS.IN,
};

function srv(target: string): NewRecord {
  const rdata = Uint8Array.from([0, 0, 0, 10, 0, 80, ...nameFromText(target)]);
  return { type: TYPE.SRV, ttlSeconds: 5, rdata };
}

function a(owner: string, last = 1): NewRecord {
  const rdata = Uint8Array.of(10, 0, 0, last);
  return { name: nameFromText(owner), type: TYPE.A, ttlSeconds: 7, rdata };
}

function soa(): NewRecord {
  const names = [...nameFromText('ns.example.org'), ...nameFromText('root.example.org')];
  const rdata = Uint8Array.from([...names, ...new Array<number>(20).fill(1)]);
  return { name: nameFromText('example.org'), type: TYPE.SOA, ttlSeconds: 9, rdata };
}

const RESPONSE: NewResponse = {
  rcode: RCODE.NOERROR,
  flags: FLAG.AA,
  answer: [srv('a.web.example.org'), srv('b.web.example.org')],
  authority: [soa()],
  additional: [a('a.web.example.org'), a('b.web.example.org', 2), a('other.test', 3)],
};

describe('buildCompressed', () => {
  it('says the same as the response without compression', () => {
    const { wire } = buildCompressed(SRV_QUESTION, RESPONSE);
    assert.deepEqual(decode(wire), decode(buildResponse(SRV_QUESTION, RESPONSE)));
  });

  it('writes each name once, and targets of SRV records whole (RFC 2782)', () => {
    const { wire } = buildCompressed(SRV_QUESTION, RESPONSE);
    const text = wire.toString('latin1');
    const count = (part: string): number => text.split(part).length - 1;
    assert.deepEqual([count('\x01a\x03web'), count('\x03web\x07example\x03org\0')], [1, 3]);
    assert.equal(count('\x04root\xc0'), 1, 'names of a SOA are compressed');
  });

  it('knows where the TTLs are', () => {
    const { wire, ttlOffsets } = buildCompressed(SRV_QUESTION, RESPONSE);
    assert.deepEqual(
      ttlOffsets,
      readRecords(wire)?.map(({ ttlOffset }) => ttlOffset),
    );
    assert.deepEqual(
      ttlOffsets.map((at) => wire.readUInt32BE(at)),
      [5, 5, 9, 7, 7, 7],
    );
  });

  it('leaves out what does not fit, and stays a message', () => {
    const answer = Array.from({ length: 2_000 }, (_, i) => srv(`host-${i}.web.example.org`));
    const additional = answer.map((_, i) => a(`host-${i}.web.example.org`));
    for (const maxBytes of [512, 1_232, 16_500, 65_535]) {
      const { wire } = buildCompressed(SRV_QUESTION, { ...RESPONSE, answer, additional }, maxBytes);
      assert.ok(wire.length <= maxBytes && wire.length > maxBytes - 400, String(wire.length));
      const { answers = [], additionals = [] } = decode(wire);
      assert.ok(answers.length > 0 && additionals.length <= answers.length);
      assert.equal(readRecords(wire)?.at(-1)?.rdataEnd, wire.length);
    }
  });

  it('makes no pointer beyond what one can express', () => {
    const additional = Array.from({ length: 3_000 }, (_, i) => a(`x${i % 1_500}.test`));
    const { wire } = buildCompressed(SRV_QUESTION, { ...RESPONSE, answer: [], additional });
    const names = (decode(wire).additionals ?? []).map(({ name }) => name);
    assert.deepEqual(
      names,
      Array.from({ length: names.length }, (_, i) => `x${i % 1_500}.test`),
    );
  });
});
