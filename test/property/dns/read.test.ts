/** For any input the readers do not throw, always end, and read no byte beyond the message. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { buildQuery } from '../../../agent/dns/build.ts';
import { findOption } from '../../../agent/dns/edns.ts';
import { expandName, nameFromText, skipName } from '../../../agent/dns/name.ts';
import { QueryHead, readQueryHead, VERDICT } from '../../../agent/dns/query-head.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { matchesQuestion, readReply } from '../../../agent/dns/reply.ts';
import { BOUNDED, damaged, response, wireName } from '../../support/dns/messages.ts';

const QUERY = buildQuery({
  name: nameFromText('www.example.org'),
  type: 1,
  class: 1,
  id: 7,
  flags: 0x0100,
  dnssecOk: true,
  udpSizeBytes: 1232,
});

/** Random bytes, damaged queries and damaged responses. */
const anything: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
  damaged(QUERY),
  response.chain(({ wire }) => damaged(wire)),
);

/** The same message with two different tails after it: the result must not depend on them. */
function withTails(message: Buffer): [Buffer, Buffer] {
  const tail = (byte: number) => Buffer.concat([message, Buffer.alloc(600, byte)]);
  return [tail(0), tail(0xff)];
}

describe('readQueryHead', () => {
  it('depends only on its bytes, not on those after them', () => {
    fc.assert(
      fc.property(anything, (message) => {
        const [first, second] = withTails(message).map((wire) => {
          const head = new QueryHead();
          const verdict = readQueryHead(wire, message.length, head);
          return { verdict, head };
        });
        assert.deepEqual(first, second);
      }),
      BOUNDED,
    );
  });

  it('fills the head within the message when it accepts', () => {
    fc.assert(
      fc.property(damaged(QUERY), (message) => {
        const head = new QueryHead();
        if (readQueryHead(message, message.length, head) !== VERDICT.answer) return;
        const name = head.name.subarray(0, head.nameLength);
        assert.equal(skipName(name, 0, name.length), name.length);
        assert.ok(head.questionEnd <= message.length);
        assert.ok(head.optRdataStart <= head.optRdataEnd && head.optRdataEnd <= message.length);
        assert.ok(head.udpSizeBytes >= 512);
      }),
      BOUNDED,
    );
  });

  it('reads every valid question', () => {
    fc.assert(
      fc.property(wireName, fc.nat(65_535), fc.nat(65_535), (name, type, qclass) => {
        const fields = { id: 1, flags: 0, dnssecOk: false, udpSizeBytes: undefined };
        const wire = buildQuery({ name, type, class: qclass, ...fields });
        const head = new QueryHead();
        assert.equal(readQueryHead(wire, wire.length, head), VERDICT.answer);
        assert.deepEqual([head.type, head.class, head.nameLength], [type, qclass, name.length]);
      }),
      BOUNDED,
    );
  });
});

describe('names in arbitrary bytes', () => {
  it('expand to well-formed names or not at all', () => {
    const out = new Uint8Array(255);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(400), (wire, offset) => {
        const length = expandName(wire, offset, wire.length, out);
        if (length >= 0) assert.equal(skipName(out, 0, length), length);
        assert.ok(skipName(wire, offset, wire.length) <= wire.length);
      }),
      BOUNDED,
    );
  });

  it('expand where they can be skipped, if pointers allow', () => {
    const out = new Uint8Array(255);
    fc.assert(
      fc.property(wireName, fc.nat(20), (name, before) => {
        const wire = Buffer.concat([Buffer.alloc(before), name]);
        assert.equal(skipName(wire, before, wire.length), wire.length);
        assert.equal(expandName(wire, before, wire.length, out), name.length);
        assert.deepEqual(out.subarray(0, name.length), name);
      }),
      BOUNDED,
    );
  });
});

describe('replies', () => {
  it('are read within their bytes or refused', () => {
    fc.assert(
      fc.property(anything, (message) => {
        for (const wire of withTails(message)) {
          assert.deepEqual(readRecords(wire, message.length), readRecords(message));
        }
        const reply = readReply(message);
        matchesQuestion(message, QUERY.subarray(12, 29), 1, 1);
        if (reply === undefined) return;
        assert.deepEqual(readRecords(reply.wire), reply.records);
        assert.ok(reply.wire.length <= message.length);
      }),
      BOUNDED,
    );
  });

  it('are read as dns-packet wrote them', () => {
    fc.assert(
      fc.property(response, ({ wire, sections }) => {
        const { answers, authorities, additionals } = sections;
        const expected = [...answers, ...authorities, ...additionals];
        const records = readRecords(wire);
        assert.equal(records?.at(-1)?.rdataEnd ?? wire.length, wire.length);
        assert.deepEqual(
          records?.map((record) => record.ttlSeconds),
          expected.map((record) => 'ttl' in record && record.ttl),
        );
        assert.deepEqual(readReply(wire)?.wire, wire);
      }),
      BOUNDED,
    );
  });
});

describe('findOption', () => {
  it('finds only options within the message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(16), (rdata, code) => {
        const found = findOption(rdata, 0, rdata.length, code);
        if (found !== undefined) assert.ok(found.start <= found.end && found.end <= rdata.length);
      }),
      BOUNDED,
    );
  });
});
