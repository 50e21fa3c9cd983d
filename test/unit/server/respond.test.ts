import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG, flagsOf } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readQueryHead } from '../../../agent/dns/query-head.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { errorAnswer } from '../../../agent/query/error-answer.ts';
import { Query } from '../../../agent/query/query.ts';
import {
  DROPPED,
  respond,
  respondHeaderOnly,
  responseCapacity,
} from '../../../agent/server/respond.ts';
import { queryFor } from '../../support/dns/queries.ts';
import { SERVER, txtAnswer } from '../../support/server/fixture.ts';

interface Asked {
  readonly flags?: number;
  readonly dnssecOk?: boolean;
  readonly udpSizeBytes?: number;
  readonly transport?: 'udp' | 'tcp';
}

function asked(name: string, { flags = FLAG.RD, dnssecOk = false, ...rest }: Asked = {}): Query {
  const query = new Query();
  const wire = buildQuery({
    ...{ name: Buffer.from(nameFromText(name.toLowerCase())), type: TYPE.A, class: CLASS.IN },
    ...{ id: 0xbeef, flags, dnssecOk, udpSizeBytes: rest.udpSizeBytes },
  });
  // The name as the client spells it; label lengths are below any letter.
  let at = 13;
  for (const label of name.split('.')) {
    wire.write(label, at, 'latin1');
    at += label.length + 1;
  }
  readQueryHead(wire, wire.length, query.head);
  query.receive(wire, wire.length, rest.transport ?? 'udp', SERVER, 0, () => {
    throw new Error('these tests do not need the client');
  });
  return query;
}

function responseTo(query: Query, answer: Answer, nowMs = 0): Buffer {
  const out = Buffer.alloc(responseCapacity(answer), 0xaa);
  return out.subarray(0, respond(query, answer, nowMs, out));
}

function ttls(response: Buffer): number[] {
  return readReply(response)?.records.map((record) => record.ttlSeconds) ?? [];
}

function withFlags(answer: Answer, flags: number): Answer {
  const wire = Buffer.from(answer.wire);
  wire.writeUInt16BE(flags, 2);
  return answer.with({ wire });
}

describe('header of a response', () => {
  const answer = txtAnswer('a.test.', 1, 4);

  it('has the ID of the query, not that of the answer', () => {
    assert.equal(responseTo(asked('a.test'), answer).readUInt16BE(0), 0xbeef);
  });

  it('echoes RD and CD, and nothing else of the query', () => {
    for (const flags of [0, FLAG.RD, FLAG.CD, FLAG.RD | FLAG.CD]) {
      const response = responseTo(asked('a.test', { flags: flags | FLAG.TC | FLAG.AA }), answer);
      assert.equal(flagsOf(response), FLAG.QR | FLAG.RA | flags);
    }
  });

  it('keeps AA, TC and RA of the answer, and drops its RD', () => {
    const kept = withFlags(answer, FLAG.QR | FLAG.AA | FLAG.TC | FLAG.RD);
    assert.equal(flagsOf(responseTo(asked('a.test', { flags: 0 }), kept)), 0x8600);
  });

  it('sets AD only for a client that sent AD or DO', () => {
    const secure = withFlags(answer, FLAG.QR | FLAG.AD);
    const ad = (options: Asked) => flagsOf(responseTo(asked('a.test', options), secure)) & FLAG.AD;
    assert.equal(ad({}), 0);
    assert.equal(ad({ udpSizeBytes: 1232 }), 0);
    assert.equal(ad({ flags: FLAG.AD }), FLAG.AD);
    assert.equal(ad({ udpSizeBytes: 1232, dnssecOk: true }), FLAG.AD);
  });

  it('repeats the question in the client’s letter case, and leaves the shared answer unchanged', () => {
    const before = Buffer.from(answer.wire);
    const { questions, answers } = decode(responseTo(asked('A.tESt'), answer));
    assert.equal(questions?.[0]?.name, 'A.tESt');
    assert.equal(answers?.[0]?.name, 'A.tESt', 'the owner points to the question');
    assert.deepEqual(answer.wire, before);
  });

  it('puts an extended rcode into the OPT, and is SERVFAIL where there is no OPT', () => {
    const extended = answer.with({ rcode: 23 });
    assert.equal(
      readReply(responseTo(asked('a.test', { udpSizeBytes: 1232 }), extended))?.rcode,
      23,
    );
    assert.equal(readReply(responseTo(asked('a.test'), extended))?.rcode, RCODE.SERVFAIL);
  });
});

describe('TTLs of a response', () => {
  it('count down by whole seconds since the answer was received, and stop at 0', () => {
    const answer = txtAnswer('a.test.', 2, 4, 5_000);
    const at = (nowMs: number) => ttls(responseTo(asked('a.test'), answer, nowMs));
    assert.deepEqual(at(5_999), [60, 60]);
    assert.deepEqual(at(6_000), [59, 59]);
    assert.deepEqual(at(64_999), [1, 1]);
    assert.deepEqual(at(65_000), [0, 0]);
    assert.deepEqual(at(500_000), [0, 0]);
    assert.deepEqual(at(4_000), [60, 60], 'a clock reading from before the answer');
  });

  it('do not age without a time of receipt, and are replaced by an override', () => {
    const ageless = txtAnswer('a.test.', 1, 4);
    assert.deepEqual(ttls(responseTo(asked('a.test'), ageless, 1e9)), [60]);
    const stale = ageless.with({ bornMs: 0, ttlOverrideSeconds: 30 });
    assert.deepEqual(ttls(responseTo(asked('a.test'), stale, 1e9)), [30]);
    const zero = ageless.with({ ttlOverrideSeconds: 0 });
    assert.deepEqual(ttls(responseTo(asked('a.test'), zero)), [0]);
  });
});

describe('OPT of a response', () => {
  const answer = txtAnswer('a.test.', 1, 4);

  function optOf(response: Buffer): { size: number; ttl: number; rdata: Buffer } | undefined {
    if (response.readUInt16BE(10) === 0) return undefined;
    const at = response.lastIndexOf(Buffer.from([0, 0, 41]));
    const size = response.readUInt16BE(at + 3);
    return { size, ttl: response.readUInt32BE(at + 5), rdata: response.subarray(at + 11) };
  }

  it('is present exactly where the client sent one, with our size and its DO', () => {
    assert.equal(optOf(responseTo(asked('a.test'), answer)), undefined);
    const plain = optOf(responseTo(asked('a.test', { udpSizeBytes: 4096 }), answer));
    assert.deepEqual(plain, { size: 1232, ttl: 0, rdata: Buffer.alloc(0) });
    const secure = optOf(
      responseTo(asked('a.test', { udpSizeBytes: 512, dnssecOk: true }), answer),
    );
    assert.equal(secure?.ttl, 0x8000);
  });

  it('carries the extended error for an EDNS client only', () => {
    const failed = errorAnswer(asked('a.test'), RCODE.SERVFAIL, { code: 22, text: 'gone' });
    const reported = optOf(responseTo(asked('a.test', { udpSizeBytes: 1232 }), failed));
    assert.deepEqual(reported?.rdata, Buffer.from([0, 15, 0, 6, 0, 22, ...Buffer.from('gone')]));
    const plain = responseTo(asked('a.test'), failed);
    assert.equal(plain.length, 12 + 8 + 4);
  });
});

describe('size of a response', () => {
  // 17 records of 112 bytes: 1,924 bytes behind a question of 12.
  const big = txtAnswer('a.test.', 17, 100);

  function sized(
    options: Asked,
    maxUdpBytes = 4_096,
  ): { bytes: number; tc: boolean; count: number } {
    const query = asked('a.test', options);
    query.maxUdpBytes = maxUdpBytes;
    const response = responseTo(query, big);
    const reply = readReply(response);
    assert.ok(reply !== undefined, 'cut in the middle of a record');
    return { bytes: response.length, tc: reply.truncated, count: reply.records.length };
  }

  it('is at most 512 bytes over UDP without EDNS, cut between records', () => {
    assert.deepEqual(sized({}), { bytes: 24 + 4 * 112, tc: true, count: 4 });
  });

  it('is what the EDNS client accepts, our OPT included', () => {
    assert.deepEqual(sized({ udpSizeBytes: 1232 }), {
      bytes: 24 + 10 * 112 + 11,
      tc: true,
      count: 10,
    });
    assert.deepEqual(sized({ udpSizeBytes: 1939 }), { bytes: 1939, tc: false, count: 17 });
    assert.deepEqual(sized({ udpSizeBytes: 1938 }), {
      bytes: 24 + 16 * 112 + 11,
      tc: true,
      count: 16,
    });
  });

  it('is no less than 512 bytes, whatever a client or a plugin says', () => {
    assert.equal(sized({ udpSizeBytes: 0 }).count, 4);
    assert.equal(sized({ udpSizeBytes: 4096 }, 100).count, 4);
  });

  it('is what the listener or bufsize allows where that is lower', () => {
    assert.equal(sized({ udpSizeBytes: 4096 }, 1232).count, 10);
  });

  it('is not cut over TCP', () => {
    assert.deepEqual(sized({ transport: 'tcp' }), { bytes: 1928, tc: false, count: 17 });
    assert.equal(sized({ transport: 'tcp', udpSizeBytes: 512 }).count, 17);
  });

  it('is what the listener allows for a client that accepts 65,535 bytes', () => {
    const query = asked('a.test', { udpSizeBytes: 65_535 });
    const response = responseTo(query, txtAnswer('a.test.', 2_620, 13));
    assert.ok(response.length <= 1_232, `${response.length}`);
    assert.ok(readReply(response)?.truncated);
  });

  it('is at most 65,535 bytes over TCP with an OPT behind the largest message', () => {
    const query = asked('a.test', { transport: 'tcp', udpSizeBytes: 1232 });
    const response = responseTo(query, txtAnswer('a.test.', 736, 77));
    assert.ok(response.length <= 65_535, `${response.length}`);
    assert.equal(readReply(response)?.truncated, true);
  });
});

describe('responses of the server itself', () => {
  it('are not sent for DROPPED', () => {
    assert.equal(respond(asked('a.test'), DROPPED, 0, Buffer.alloc(0)), 0);
  });

  it('contain the question of an internal query, which has no message', () => {
    const question = { type: TYPE.A, dnssecOk: false, checkingDisabled: false, server: SERVER };
    const query = Query.internal({ ...question, name: nameFromText('in.test') }, 0);
    const { questions } = decode(errorAnswer(query, RCODE.REFUSED).wire);
    assert.deepEqual(questions, [{ name: 'in.test', type: 'A', class: 'IN' }]);
  });

  it('are 12 bytes with ID, opcode, RD and rcode where the question cannot be trusted', () => {
    const { head } = queryFor('a.test', 'A');
    head.id = 0x1234;
    head.flags = 0x2800 | FLAG.RD | FLAG.TC;
    const out = Buffer.alloc(12, 0xff);
    assert.equal(respondHeaderOnly(head, RCODE.NOTIMP, out), 12);
    assert.equal(out.toString('hex'), '1234a9040000000000000000');
  });
});
