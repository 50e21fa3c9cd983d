import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/whoami/setup.ts';
import { clientAt, Query } from '../../../../agent/query/query.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { ask, decoded, NextSpy, queryFor } from '../../../support/dns/queries.ts';

const whoami = setUp(setup, 'whoami');

function reply(query: Query) {
  const next = new NextSpy();
  const answer = ask(whoami, query, next.handler);
  assert.equal(next.asked, 0);
  return answer;
}

describe('whoami', () => {
  it('returns address, transport and port', () => {
    const answer = reply(queryFor('whoami.Example', 'TXT'));
    assert.equal(flagsOf(answer.wire) & FLAG.AA, FLAG.AA);
    assert.equal(answer.shareable, false);
    const packet = decoded(answer);
    assert.deepEqual(packet.answers, []);
    assert.deepEqual(
      packet.additionals?.map(({ name, type, ...rest }) => [
        name,
        type,
        'data' in rest && rest.data,
      ]),
      [
        ['whoami.example', 'A', '10.244.0.7'],
        ['_udp.whoami.example', 'SRV', { priority: 0, weight: 0, port: 40_053, target: '.' }],
      ],
    );
    assert.deepEqual(
      packet.additionals?.map((record) => 'ttl' in record && record.ttl),
      [0, 0],
    );
  });

  it('returns the address of an IPv6 client over TCP', () => {
    const client = clientAt('fd00::7', 1);
    const packet = decoded(reply(queryFor('.', 'A', { client, transport: 'tcp' })));
    assert.deepEqual(
      packet.additionals?.map(({ name, type }) => [name, type]),
      [
        ['.', 'AAAA'],
        ['_tcp', 'SRV'],
      ],
    );
  });

  it('omits the SRV whose name would not fit', () => {
    const longest = `${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}`;
    assert.equal(nameFromText(longest).length, 255);
    assert.equal(decoded(reply(queryFor(longest, 'A'))).additionals?.length, 1);
    assert.equal(decoded(reply(queryFor(longest.slice(5), 'A'))).additionals?.length, 2);
    assert.equal(decoded(reply(queryFor(longest.slice(4), 'A'))).additionals?.length, 1);
  });

  it('keeps the class of the question', () => {
    const packet = decoded(reply(queryFor('a.example', 'A', { class: CLASS.CH })));
    assert.equal(packet.questions?.[0]?.class, 'CH');
  });

  it('returns no records where no client asks', () => {
    const question = {
      name: nameFromText('a.example'),
      type: TYPE.A,
      dnssecOk: false,
      checkingDisabled: false,
      server: { index: 0, label: '' },
    };
    assert.deepEqual(decoded(reply(Query.internal(question, 0))).additionals, []);
  });

  for (const text of ['whoami please', 'whoami {\nthing\n}']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => setUp(setup, text), { name: 'ConfigError' });
    });
  }
});
