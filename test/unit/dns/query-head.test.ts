import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import { QueryHead, readQueryHead, VERDICT } from '../../../agent/dns/query-head.ts';
import { packetsIn } from '../../support/packets/read.ts';

const FOLDERS = {
  silence: VERDICT.silence,
  formerr: VERDICT.formErr,
  notimp: VERDICT.notImp,
  badvers: VERDICT.badVers,
  answer: VERDICT.answer,
} as const;

function read(wire: Uint8Array): QueryHead {
  const head = new QueryHead();
  assert.equal(readQueryHead(wire, wire.length, head), VERDICT.answer);
  return head;
}

for (const [folder, verdict] of Object.entries(FOLDERS)) {
  describe(`a query is handled with ${folder}`, () => {
    for (const { name, bytes } of packetsIn(`queries/${folder}`)) {
      it(name, () => {
        assert.equal(readQueryHead(bytes, bytes.length, new QueryHead()), verdict);
      });
    }
  });
}

describe('readQueryHead', () => {
  const fields = {
    name: nameFromText('WwW.Example.ORG'),
    type: TYPE.HTTPS,
    class: CLASS.IN,
    id: 0xbeef,
    flags: FLAG.RD | FLAG.CD,
    dnssecOk: true,
    udpSizeBytes: 1400,
  };

  it('reads all fields of a query', () => {
    const wire = buildQuery(fields);
    const head = read(wire);
    assert.equal(head.id, 0xbeef);
    assert.equal(head.flags, FLAG.RD | FLAG.CD);
    assert.equal(nameToText(head.name.subarray(0, head.nameLength)), 'www.example.org.');
    assert.deepEqual(
      [0, 1, 2, 3].map((label) => head.labelOffset(label)),
      [0, 4, 12, 16],
    );
    assert.equal(head.labelCount, 3);
    assert.deepEqual([head.type, head.class], [TYPE.HTTPS, CLASS.IN]);
    assert.equal(head.questionEnd, 12 + 17 + 4);
    assert.deepEqual([head.hasOpt, head.udpSizeBytes, head.dnssecOk], [true, 1400, true]);
    assert.deepEqual([head.optRdataStart, head.optRdataEnd], [wire.length, wire.length]);
  });

  it('counts a payload size below 512 as 512', () => {
    assert.equal(read(buildQuery({ ...fields, udpSizeBytes: 100 })).udpSizeBytes, 512);
  });

  it('keeps no field of the query before', () => {
    const head = read(buildQuery(fields));
    const plain = buildQuery({
      name: Uint8Array.of(0),
      type: TYPE.NS,
      class: CLASS.IN,
      id: 1,
      flags: 0,
      dnssecOk: false,
      udpSizeBytes: undefined,
    });
    assert.equal(readQueryHead(plain, plain.length, head), VERDICT.answer);
    assert.deepEqual([head.hasOpt, head.udpSizeBytes, head.dnssecOk], [false, 512, false]);
    assert.deepEqual([head.nameLength, head.labelCount, head.type], [1, 0, TYPE.NS]);
    assert.deepEqual([head.optRdataStart, head.optRdataEnd], [0, 0]);
  });

  it('has room for the maximum number of labels', () => {
    const [most] = packetsIn('queries/answer').filter(({ name }) => name === 'qname-127-labels');
    assert.ok(most !== undefined);
    const head = read(most.bytes);
    assert.equal(head.labelCount, 127);
    assert.equal(head.labelOffset(127), 254);
  });

  it('uses the given length, not that of the buffer', () => {
    const wire = buildQuery(fields);
    const head = new QueryHead();
    for (let length = 0; length < wire.length; length++) {
      const verdict = readQueryHead(wire, length, head);
      assert.equal(verdict, length < 12 ? VERDICT.silence : VERDICT.formErr, `length ${length}`);
    }
  });
});
