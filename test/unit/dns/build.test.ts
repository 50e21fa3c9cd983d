import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { buildQuery, buildResponse } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';

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
