/** Another reader finds the data that we write, truncate and frame. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import fc from 'fast-check';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import {
  byteKey,
  isSubdomain,
  lowerName,
  nameFromText,
  nameToText,
  sameName,
} from '../../../agent/dns/name.ts';
import { readRecords, skipQuestions } from '../../../agent/dns/records.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import { truncateAt } from '../../../agent/dns/truncate.ts';
import { setup } from '../../../agent/plugins/loadbalance/setup.ts';
import { relayedAnswer } from '../../../agent/query/answer.ts';
import { parseDirective } from '../../support/corefiles/parse.ts';
import { BOUNDED, response, wireName } from '../../support/dns/messages.ts';
import { ask, queryFor } from '../../support/dns/queries.ts';
import { fakeServices } from '../../support/services.ts';

describe('names', () => {
  it('survive the conversion to text and back, byte by byte', () => {
    fc.assert(
      fc.property(wireName, (name) => assert.deepEqual(nameFromText(nameToText(name)), name)),
      BOUNDED,
    );
  });

  it('have only printable ASCII as text', () => {
    fc.assert(
      fc.property(wireName, (name) => assert.match(nameToText(name), /^[!-~]+$/)),
      BOUNDED,
    );
  });

  it('are equal in any letter case, below their parents, and have the same key', () => {
    fc.assert(
      fc.property(wireName, (name) => {
        const lower = lowerName(name);
        assert.ok(sameName(name, lower));
        assert.equal(byteKey(lower), byteKey(lowerName(lower)));
        assert.ok(isSubdomain(name, Uint8Array.of(0)) && isSubdomain(name, lower));
        assert.ok(isSubdomain(name, name.subarray(name.length > 1 ? (name[0] as number) + 1 : 0)));
      }),
      BOUNDED,
    );
  });
});

describe('truncateAt', () => {
  it('keeps the longest run of whole records that fits', () => {
    fc.assert(
      fc.property(response, fc.nat(1_000), ({ wire }, maxBytes) => {
        const records = readRecords(wire) ?? [];
        const questionEnd = skipQuestions(wire, wire.length);
        const ends = [questionEnd, ...records.map((record) => record.rdataEnd)];
        const copy = Buffer.from(wire);
        const end = truncateAt(copy, questionEnd, copy.length, maxBytes);
        assert.equal(end, ends.findLast((offset) => offset <= maxBytes) ?? questionEnd);
        const left = readRecords(copy, end);
        assert.deepEqual(left, records.slice(0, ends.indexOf(end)));
        decode(copy.subarray(0, end));
      }),
      BOUNDED,
    );
  });
});

describe('frames', () => {
  it('are read completely, however the stream is split', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
    const cuts = fc.array(fc.nat(1_600), { maxLength: 8 });
    fc.assert(
      fc.property(messages, cuts, (sent, at) => {
        const stream = Buffer.concat(sent.map(frame));
        const bounds = [0, ...at.filter((cut) => cut < stream.length).sort((a, b) => a - b)];
        const reader = new FrameReader();
        const received: Buffer[] = [];
        for (const [i, from] of bounds.entries()) {
          const chunk = stream.subarray(from, bounds[i + 1] ?? stream.length);
          reader.push(chunk, (message) => received.push(Buffer.from(message)));
        }
        assert.deepEqual(
          received,
          sent.map((message) => Buffer.from(message)),
        );
        assert.ok(!reader.isMidFrame);
      }),
      BOUNDED,
    );
  });
});

describe('loadbalance', () => {
  it('changes the order of records and nothing else', () => {
    const { directive, block } = parseDirective('loadbalance');
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed / 0x7fffffff;
    };
    const plugin = setup(directive, block, fakeServices({ random }));
    const query = queryFor('www.example.org', 'A');
    const linesOf = (wire: Buffer): string[] => {
      const { answers = [], authorities = [], additionals = [] } = decode(wire);
      return [answers, authorities, additionals].flatMap((section, i) =>
        section.map((record) => `${i} ${JSON.stringify(record)}`).sort(),
      );
    };
    fc.assert(
      fc.property(response, ({ wire }) => {
        const reply = readReply(wire);
        assert.ok(reply !== undefined);
        const before = relayedAnswer(reply, 'forward', 0);
        const after = ask(plugin, query, () => before);
        assert.deepEqual(linesOf(after.wire), linesOf(wire));
        assert.deepEqual(after.ttlOffsets, before.ttlOffsets);
      }),
      BOUNDED,
    );
  });
});
