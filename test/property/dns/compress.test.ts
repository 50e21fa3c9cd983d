/** A stored message is never longer than the received one, and has the same records. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import fc from 'fast-check';
import { TYPE } from '../../../agent/dns/iana.ts';
import { expandName, lowerName, MAX_NAME_BYTES } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { type Asked, acceptReply } from '../../../agent/dns/reply/accept.ts';
import { matchesQuestion, type Reply } from '../../../agent/dns/reply.ts';
import { BOUNDED, damaged, response } from '../../support/dns/messages.ts';
import { choices, expanded, wireMessage, writeMessage } from '../../support/dns/wire-messages.ts';

/** A transfer's records may have any name, so no record is omitted. */
function askedIn(wire: Buffer, type: number = TYPE.AXFR): Asked {
  const name = new Uint8Array(MAX_NAME_BYTES);
  const length = expandName(wire, 12, wire.length, name);
  return { name: lowerName(name.subarray(0, length)), type, class: 1, dnssecOk: true };
}

function accepted(wire: Buffer): Reply {
  const reply = acceptReply(wire, askedIn(wire));
  assert.ok(typeof reply !== 'string', `${reply}`);
  return reply;
}

describe('an accepted reply', () => {
  it('has the same records, is no longer, and is consistent', () => {
    fc.assert(
      fc.property(wireMessage, choices, (message, chosen) => {
        const wire = writeMessage(message, chosen);
        const before = Buffer.from(wire);
        const reply = accepted(wire);
        assert.deepEqual(expanded(reply.wire), expanded(wire));
        assert.ok(reply.wire.length <= wire.length);
        assert.deepEqual(readRecords(reply.wire), reply.records);
        assert.deepEqual(wire, before);
      }),
      BOUNDED,
    );
  });

  it('cannot be compressed further', () => {
    fc.assert(
      fc.property(wireMessage, choices, (message, chosen) => {
        const once = accepted(writeMessage(message, chosen)).wire;
        assert.deepEqual(accepted(once).wire, once);
      }),
      BOUNDED,
    );
  });

  it('is read by dns-packet as before', () => {
    fc.assert(
      fc.property(response, ({ wire }) => {
        const { questions, answers, authorities, additionals } = decode(wire);
        const after = decode(accepted(wire).wire);
        assert.deepEqual(
          [after.questions, after.answers, after.authorities, after.additionals],
          [questions, answers, authorities, additionals],
        );
      }),
      BOUNDED,
    );
  });

  it('has only names that other implementations can read', () => {
    const broken = fc.tuple(wireMessage, choices).chain(([message, chosen]) => {
      const wire = writeMessage(message, chosen);
      const asked = askedIn(wire);
      return damaged(wire).map((bytes) => ({ bytes, asked, type: message.type }));
    });
    const out = new Uint8Array(MAX_NAME_BYTES);
    fc.assert(
      fc.property(broken, ({ bytes, asked, type }) => {
        // Only replies to the question get here.
        fc.pre(matchesQuestion(bytes, asked.name, type, 1));
        const reply = acceptReply(bytes, asked);
        if (typeof reply === 'string') return;
        assert.ok(reply.wire.length <= bytes.length);
        for (const { start } of reply.records)
          assert.ok(expandName(reply.wire, start, reply.wire.length, out) > 0);
        expanded(reply.wire);
      }),
      { ...BOUNDED, numRuns: 2_000 },
    );
  });
});
