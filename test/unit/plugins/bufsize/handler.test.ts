import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setup } from '../../../../agent/plugins/bufsize/setup.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { ask, NextSpy, queryFor } from '../../../support/dns/queries.ts';

const bufsize = (text: string) => setUp(setup, text);

describe('bufsize', () => {
  for (const [text, expected] of [
    ['bufsize', 1232],
    ['bufsize 512', 512],
    ['bufsize 4096', 4096],
  ] as const) {
    it(`${text} sets the limit to ${expected} and passes the query on`, () => {
      const next = new NextSpy();
      const query = queryFor('a.example', 'A', { udpSizeBytes: 4096 });
      assert.equal(ask(bufsize(text), query, next.handler), next.answer);
      assert.equal(query.maxUdpBytes, expected);
    });
  }

  it("applies above the listener's limit as well as below", () => {
    for (const listeners of [600, 4_096]) {
      const query = queryFor('a.example', 'A');
      query.maxUdpBytes = listeners;
      ask(bufsize('bufsize 1400'), query, new NextSpy().handler);
      assert.equal(query.maxUdpBytes, 1_400);
    }
  });

  for (const text of [
    'bufsize 511',
    'bufsize 4097',
    'bufsize big',
    'bufsize 1232 1',
    'bufsize {\nthing\n}',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => bufsize(text), { name: 'ConfigError' });
    });
  }
});
