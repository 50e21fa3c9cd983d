import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { arcountOf } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { lowerName, nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { matchesQuestion, type Reply, readReply } from '../../../agent/dns/reply.ts';
import { packetsIn } from '../../support/packets/read.ts';

const readable = new Map(packetsIn('replies/readable').map(({ name, bytes }) => [name, bytes]));

function packet(name: string): Buffer {
  const bytes = readable.get(name);
  assert.ok(bytes !== undefined, `no packet ${name}`);
  return bytes;
}

function reply(name: string): Reply {
  const read = readReply(packet(name));
  assert.ok(read !== undefined, `${name} is not readable`);
  return read;
}

describe('readReply refuses', () => {
  for (const { name, bytes } of packetsIn('replies/malformed')) {
    it(name, () => assert.equal(readReply(bytes), undefined));
  }
});

describe('readReply reads', () => {
  for (const [name, bytes] of readable) {
    it(`${name}, without OPT and consistently`, () => {
      const { wire, records } = reply(name);
      assert.deepEqual(readRecords(wire), records);
      assert.ok(records.every((record) => record.type !== TYPE.OPT));
      assert.deepEqual(wire.subarray(12), bytes.subarray(12, wire.length));
      decode(wire);
    });
  }

  it('records before the OPT, and none after it', () => {
    const kept = (name: string) => decode(reply(name).wire).additionals?.length;
    assert.equal(kept('opt-last'), 0);
    assert.equal(kept('opt-first'), 0);
    assert.equal(kept('opt-in-the-middle'), 1);
    assert.equal(kept('opt-twice'), 0);
    assert.equal(arcountOf(reply('opt-in-the-middle').wire), 1);
  });

  it('rcode, its upper bits, TC', () => {
    assert.equal(reply('no-question').rcode, 1);
    assert.equal(reply('no-question-opt').rcode, 1);
    assert.equal(reply('extended-rcode').rcode, 16);
    assert.deepEqual(
      [reply('truncated-empty').truncated, reply('opt-last').truncated],
      [true, false],
    );
  });

  it('the extended error where it is complete', () => {
    assert.deepEqual(reply('ede-stale').extended, { code: 3, text: 'stale' });
    assert.equal(reply('ede-without-code').extended, undefined);
    assert.equal(reply('ede-behind-broken-option').extended, undefined);
    assert.equal(reply('opt-last').extended, undefined);
  });

  it('its input without a reference to it or a change of it', () => {
    const input = Buffer.from(packet('opt-in-the-middle'));
    const before = Buffer.from(input);
    const read = readReply(input);
    assert.deepEqual(input, before);
    const kept = Buffer.from(read?.wire ?? []);
    input.fill(0xff);
    assert.deepEqual(read?.wire, kept);
  });
});

describe('matchesQuestion', () => {
  const wire = packet('opt-last');
  const name = lowerName(nameFromText('www.example.org'));

  it('accepts the question, in any letter case', () => {
    assert.ok(matchesQuestion(wire, name, TYPE.A, CLASS.IN));
    const shouted = Buffer.from(wire);
    shouted.write('WwW', 13, 'latin1');
    assert.ok(matchesQuestion(shouted, name, TYPE.A, CLASS.IN));
  });

  it('refuses another name, type or class', () => {
    for (const other of ['www.example.net', 'ww.example.org', 'wwww.example.org', 'org', '.']) {
      assert.ok(!matchesQuestion(wire, nameFromText(other), TYPE.A, CLASS.IN), other);
    }
    assert.ok(!matchesQuestion(wire, name, TYPE.AAAA, CLASS.IN));
    assert.ok(!matchesQuestion(wire, name, TYPE.A, CLASS.CH));
  });

  it('refuses no question, two questions and anything shorter', () => {
    assert.ok(!matchesQuestion(packet('no-question'), name, TYPE.A, CLASS.IN));
    const two = Buffer.from(wire);
    two[5] = 2;
    assert.ok(!matchesQuestion(two, name, TYPE.A, CLASS.IN));
    for (let length = 0; length < 12 + name.length + 4; length++) {
      assert.ok(!matchesQuestion(wire.subarray(0, length), name, TYPE.A, CLASS.IN), `${length}`);
    }
  });
});
