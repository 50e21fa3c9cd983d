import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG, flagsOf, u32 } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import { madeAnswer, relayedAnswer } from '../../../agent/query/answer.ts';
import { packetsIn } from '../../support/packets/read.ts';

const QUESTION = { name: nameFromText('a.example'), type: TYPE.A, class: CLASS.IN };
const RECORD = { type: TYPE.A, ttlSeconds: 77, rdata: Uint8Array.of(1, 2, 3, 4) };

describe('madeAnswer', () => {
  const made = madeAnswer(
    QUESTION,
    { rcode: RCODE.NOERROR, flags: FLAG.AA, answer: [RECORD], additional: [RECORD] },
    'hosts',
  );

  it('knows the positions of its TTLs, and that they do not age', () => {
    assert.deepEqual(
      [...made.ttlOffsets].map((offset) => u32(made.wire, offset)),
      [77, 77],
    );
    assert.equal(made.bornMs, undefined);
    assert.deepEqual([made.plugin, made.rcode, made.shareable], ['hosts', 0, true]);
  });

  it('may be for one client only', () => {
    const options = { shareable: false, extended: { code: 15, text: 'no' } };
    const own = madeAnswer(QUESTION, { rcode: RCODE.REFUSED, flags: 0 }, 'acl', options);
    assert.deepEqual([own.shareable, own.extended], [false, { code: 15, text: 'no' }]);
  });

  it('changes in a copy', () => {
    const stale = made.with({ ttlOverrideSeconds: 30, bornMs: 5 });
    assert.deepEqual([stale.ttlOverrideSeconds, stale.bornMs], [30, 5]);
    assert.equal(stale.wire, made.wire);
    assert.equal(made.ttlOverrideSeconds, undefined);
    assert.equal(stale.with({ ttlOverrideSeconds: undefined }).ttlOverrideSeconds, undefined);
  });
});

describe('relayedAnswer', () => {
  it('keeps the reply but clears AA', () => {
    const [packet] = packetsIn('replies/readable').filter(({ name }) => name === 'opt-last');
    assert.ok(packet !== undefined);
    const authoritative = Buffer.from(packet.bytes);
    authoritative[2] = (authoritative[2] as number) | (FLAG.AA >> 8);
    const reply = readReply(authoritative);
    assert.ok(reply !== undefined);
    const answer = relayedAnswer(reply, 'forward', 1_000);
    assert.equal(flagsOf(answer.wire) & FLAG.AA, 0);
    assert.equal(flagsOf(answer.wire) | FLAG.AA, flagsOf(authoritative));
    assert.deepEqual(
      [...answer.ttlOffsets].map((offset) => u32(answer.wire, offset)),
      [300],
    );
    assert.deepEqual([answer.bornMs, answer.plugin, answer.shareable], [1_000, 'forward', true]);
  });
});
