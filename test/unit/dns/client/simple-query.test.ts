import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import dnsPacket, { type Answer } from 'dns-packet';
import { firstText, replyTo, simpleQuery } from '../../../../agent/dns/client/simple-query.ts';
import { FLAG } from '../../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';

const NAME = 'a.example';
const QUESTION = { name: nameFromText(NAME), type: TYPE.TXT, class: CLASS.IN };
const QUERY = simpleQuery(0xabcd, QUESTION, FLAG.RD);

function reply(answers: Answer[]): Buffer {
  const questions = [{ type: 'TXT', class: 'IN', name: NAME }] as const;
  return dnsPacket.encode({ type: 'response', id: 0xabcd, answers, questions: [...questions] });
}

const txt = (...data: string[]): Answer => ({ type: 'TXT', name: NAME, ttl: 30, data });

function changed(message: Buffer, at: number, value: number): Buffer {
  const bytes = Buffer.from(message);
  bytes[at] = value;
  return bytes;
}

describe('a simple query', () => {
  it('is what another implementation reads', () => {
    const { id, questions, additionals, flag_rd } = dnsPacket.decode(QUERY);
    assert.deepEqual([id, flag_rd, additionals], [0xabcd, true, []]);
    assert.deepEqual(questions, [{ name: NAME, type: 'TXT', class: 'IN' }]);
  });
});

describe('the reply to a simple query', () => {
  const good = reply([txt('one', 'two')]);

  it('has the same ID and question', () => {
    assert.equal(replyTo(0xabcd, QUESTION, good)?.records.length, 1);
    assert.equal(replyTo(0xabce, QUESTION, good), undefined, 'ID');
    assert.equal(replyTo(0xabcd, QUESTION, QUERY), undefined, 'a query');
    assert.equal(replyTo(0xabcd, QUESTION, changed(good, 2, 0xa0)), undefined, 'opcode');
    assert.equal(replyTo(0xabcd, QUESTION, changed(good, 13, 0x62)), undefined, 'another name');
    assert.equal(replyTo(0xabcd, QUESTION, changed(good, QUERY.length - 3, 1)), undefined, 'type');
    assert.ok(replyTo(0xabcd, QUESTION, changed(good, 13, 0x41)), 'letter case does not matter');
  });

  it('is never a message that is cut off', () => {
    for (let length = 0; length < good.length; length++)
      assert.equal(replyTo(0xabcd, QUESTION, good.subarray(0, length)), undefined, `${length}`);
  });

  it('may lack the question where it is an error, not where it denies a name', () => {
    const headOnly = (rcode: number): Buffer =>
      Buffer.from([0xab, 0xcd, 0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert.equal(replyTo(0xabcd, QUESTION, headOnly(1))?.rcode, 1);
    for (const rcode of [0, 3]) assert.equal(replyTo(0xabcd, QUESTION, headOnly(rcode)), undefined);
  });
});

describe('the first text', () => {
  const textOf = (message: Buffer): string | undefined => {
    const read = replyTo(0xabcd, QUESTION, message);
    assert.ok(read);
    return firstText(read);
  };

  it('is the first string of the first answer, if that is TXT', () => {
    assert.equal(textOf(reply([txt('one', 'two'), txt('three')])), 'one');
    const address: Answer = { type: 'A', name: NAME, ttl: 1, data: '192.0.2.1' };
    assert.equal(textOf(reply([address, txt('one')])), undefined);
    assert.equal(textOf(reply([])), undefined);
  });

  it('is none where the string is longer than its record', () => {
    const message = reply([txt('one')]);
    assert.equal(textOf(changed(message, message.length - 4, 4)), undefined);
  });
});
