import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { buildResponse, type NewRecord } from '../../../agent/dns/build.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { truncateAt } from '../../../agent/dns/truncate.ts';

const QUESTION = { name: nameFromText('a.example'), type: TYPE.A, class: CLASS.IN };
const QUESTION_END = 12 + QUESTION.name.length + 4;

const address = (byte: number): NewRecord => ({
  type: TYPE.A,
  ttlSeconds: 1,
  rdata: Uint8Array.of(10, 0, 0, byte),
});

function message(): Buffer {
  return buildResponse(QUESTION, {
    rcode: 0,
    flags: 0,
    answer: [address(1), address(2)],
    authority: [address(3)],
    additional: [address(4), address(5)],
  });
}

describe('truncateAt', () => {
  const whole = message();
  const ends = [QUESTION_END, ...(readRecords(whole) ?? []).map((record) => record.rdataEnd)];

  for (let maxBytes = QUESTION_END; maxBytes <= whole.length; maxBytes++) {
    const kept = ends.findLastIndex((end) => end <= maxBytes);
    it(`keeps ${kept} records in ${maxBytes} bytes`, () => {
      const wire = message();
      const end = truncateAt(wire, QUESTION_END, wire.length, maxBytes);
      assert.equal(end, ends[kept]);
      const packet = decode(wire.subarray(0, end));
      const counts = [packet.answers, packet.authorities, packet.additionals].map((s) => s?.length);
      assert.deepEqual(counts, [
        Math.min(kept, 2),
        Math.max(0, Math.min(kept - 2, 1)),
        Math.max(0, kept - 3),
      ]);
      assert.deepEqual(wire.subarray(12, end), whole.subarray(12, end));
    });
  }

  it('keeps the question where nothing else fits', () => {
    const wire = message();
    assert.equal(truncateAt(wire, QUESTION_END, wire.length, 0), QUESTION_END);
    assert.equal(decode(wire.subarray(0, QUESTION_END)).questions?.length, 1);
  });
});
