import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/minimal/setup.ts';
import { type Answer, madeAnswer } from '../../../../agent/query/answer.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { ask, decoded, queryFor } from '../../../support/dns/queries.ts';

const minimal = setUp(setup, 'minimal');
const record = (type: number, bytes: readonly number[]) => ({
  type,
  ttlSeconds: 60,
  rdata: Uint8Array.from(bytes),
});
const A = record(TYPE.A, [192, 0, 2, 1]);
const NS = record(TYPE.NS, [...nameFromText('ns.example.')]);

function through(answer: Answer): Answer {
  return ask(minimal, queryFor('a.example', 'A'), () => answer);
}

function made(rcode: number, answer: (typeof A)[], extended = { code: 3, text: 'stale' }): Answer {
  const response = { rcode, flags: 0, answer, authority: [NS], additional: [A] };
  return madeAnswer(queryFor('a.example', 'A'), response, 'x', { extended });
}

describe('minimal', () => {
  it('keeps only the answer section of an answer, and its extended error', () => {
    const before = made(RCODE.NOERROR, [A, A]);
    const copy = Buffer.from(before.wire);
    const answer = through(before);
    const { answers, authorities, additionals } = decoded(answer);
    assert.deepEqual([answers?.length, authorities?.length, additionals?.length], [2, 0, 0]);
    assert.equal(answer.ttlOffsets.length, 2);
    assert.equal(answer.extended?.code, 3);
    assert.deepEqual(before.wire, copy, 'a shared answer was written to');
  });

  it('does not change delegations, denials and errors', () => {
    for (const answer of [
      made(RCODE.NOERROR, []),
      made(RCODE.NXDOMAIN, [A]),
      made(RCODE.SERVFAIL, []),
    ])
      assert.equal(through(answer), answer);
  });
});
