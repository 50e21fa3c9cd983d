import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { CLASS, type TYPE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/chaos/setup.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { ask, decoded, NextSpy, queryFor } from '../../../support/dns/queries.ts';

function texts(text: string, name: string): string[] {
  const plugin = setUp(setup, text);
  const answer = ask(plugin, queryFor(name, 'TXT', { class: CLASS.CH }), new NextSpy().handler);
  return (decoded(answer).answers ?? []).map((record) => {
    assert.ok(record.type === 'TXT' && 'ttl' in record);
    assert.deepEqual([record.ttl, record.class], [0, 'CH']);
    return String(record.data);
  });
}

describe('chaos', () => {
  for (const [text, name, expected] of [
    ['chaos', 'version.bind', ['nodens']],
    ['chaos 1.0 ann bob', 'VERSION.server', ['1.0']],
    ['chaos 1.0 ann bob', 'authors.bind', ['ann', 'bob']],
    ['chaos 1.0', 'authors.bind', ['the nodens authors']],
    ['chaos', 'hostname.bind', [hostname()]],
    ['chaos', 'id.server', [hostname()]],
  ] as const) {
    it(`${text}: ${name}`, () => assert.deepEqual(texts(text, name), expected));
  }

  it('passes on other names, types and classes', () => {
    const plugin = setUp(setup, 'chaos');
    for (const [name, type, qclass] of [
      ['version.bind', 'A', CLASS.CH],
      ['version.bind', 'TXT', CLASS.IN],
      ['other.bind', 'TXT', CLASS.CH],
    ] as [string, keyof typeof TYPE, number][]) {
      const next = new NextSpy();
      const answer = ask(plugin, queryFor(name, type, { class: qclass }), next.handler);
      assert.equal(answer, next.answer);
    }
  });

  it('refuses braces and texts over 255 bytes', () => {
    for (const text of ['chaos {\nthing\n}', `chaos ${'x'.repeat(256)}`])
      assert.throws(() => setUp(setup, text), { name: 'ConfigError' });
  });
});
