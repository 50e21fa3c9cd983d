import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DropQuery } from '../../../../agent/base/errors.ts';
import { EDE, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/acl/setup.ts';
import { clientAt, Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { fakeServices } from '../../../support/services.ts';

const SERVER = 'dns://127.0.0.1:53';

interface Asked {
  readonly type?: keyof typeof TYPE;
  readonly from?: string;
  readonly name?: string;
}

function acl(text: string, keys = '.') {
  const services = fakeServices();
  const { directive, block } = parseDirective(text, keys);
  const plugin = setup(directive, block, services);
  const verdict = ({ type = 'A', from = '10.244.0.7', name = 'a.example' }: Asked = {}): string => {
    const query = queryFor(name, type, { client: clientAt(from, 5_353) });
    const next = new NextSpy();
    try {
      const answer = ask(plugin, query, next.handler);
      if (next.asked > 0) return 'allow';
      assert.equal(answer.shareable, false);
      return `${answer.rcode} ${answer.extended?.code}`;
    } catch (error) {
      assert.ok(error instanceof DropQuery);
      return 'drop';
    }
  };
  return { verdict, services, plugin };
}

const BLOCKED = `${RCODE.REFUSED} ${EDE.BLOCKED}`;
const FILTERED = `${RCODE.NOERROR} ${EDE.FILTERED}`;

describe('acl', () => {
  it('the first policy that matches decides, and other queries are allowed', () => {
    const { verdict } = acl(
      'acl {\nallow net 10.244.0.0/24\nfilter type AAAA net 10.0.0.0/8\nblock net fd00::/8\n}',
    );
    assert.equal(verdict({ type: 'AAAA' }), 'allow');
    assert.equal(verdict({ type: 'AAAA', from: '10.1.0.1' }), FILTERED);
    assert.equal(verdict({ from: '10.1.0.1' }), 'allow');
    assert.equal(verdict({ from: 'fd00::1' }), BLOCKED);
    assert.equal(verdict({ from: '192.0.2.1' }), 'allow');
  });

  it('sends no response to a client that it drops', () => {
    assert.equal(acl('acl {\ndrop net 10.244.0.7\n}').verdict(), 'drop');
  });

  it('applies to its zones, in the order of its uses; allow ends the search', () => {
    const { verdict } = acl('acl example.org {\nallow net 10.0.0.0/8\n}\nacl {\nblock\n}');
    assert.equal(verdict({ name: 'a.example.org' }), 'allow');
    assert.equal(verdict({ name: 'a.example.org', from: '192.0.2.1' }), BLOCKED);
    assert.equal(verdict({ name: 'a.example' }), BLOCKED);
  });

  it('* matches everything, as does an omitted part', () => {
    for (const text of [
      'block',
      'block type *',
      'block type A *',
      'block net *',
      'BLOCK TYPE * Net *',
    ])
      for (const type of ['MX', 'ANY'] as const)
        assert.equal(acl(`acl {\n${text}\n}`).verdict({ type, from: 'fd00::9' }), BLOCKED, text);
  });

  it('ANY is one type among others', () => {
    const denials = { block: BLOCKED, filter: FILTERED, drop: 'drop' };
    for (const [action, denial] of Object.entries(denials)) {
      for (const any of ['ANY', 'any', 'TYPE255', 'MX ANY']) {
        const { verdict } = acl(`acl {\n${action} type ${any}\n}`);
        assert.deepEqual([verdict(), verdict({ type: 'ANY' })], ['allow', denial], any);
      }
    }
    const { verdict } = acl('acl {\nallow type ANY\nblock\n}');
    assert.deepEqual([verdict(), verdict({ type: 'ANY' })], [BLOCKED, 'allow']);
  });

  it('a policy with ANY gets a warning that names its place, one with * or TYPE255 none', () => {
    const text = 'acl {\nblock type A TYPE255\nblock type ANY *\nallow\nblock type MX any\n}';
    const warnings = acl(text).services.log.records.map(({ level, message }) => [level, message]);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings.flat().join(' '),
      /^warn \/etc\/Corefile:6: acl: ANY means type 255 only, /,
    );
  });

  it('without a policy allows every query, with a warning that names its place', () => {
    for (const text of ['acl', 'acl {\n}', 'acl example.org {\n}']) {
      const { verdict, services } = acl(text);
      assert.equal(verdict({ name: 'a.example.org' }), 'allow');
      const warnings = services.log.records.map(({ level, message }) => `${level} ${message}`);
      assert.equal(warnings.length, 1);
      assert.match(warnings.join(), /^warn \/etc\/Corefile:\d+: acl without allow, /);
    }
  });

  it('counts by the longest zone that matched', () => {
    const { verdict, services } = acl(
      'acl . example.org {\nfilter type TXT\nblock type MX\ndrop type PTR\n}',
    );
    for (const type of ['TXT', 'MX', 'PTR', 'A', 'A'] as const)
      verdict({ type, name: 'b.example.org' });
    const zone = { server: SERVER, zone: 'example.org.', view: '' };
    const value = (what: string, labels: Record<string, string>) =>
      services.metrics.value(`coredns_acl_${what}_requests_total`, labels);
    assert.deepEqual(
      [value('filtered', zone), value('blocked', zone), value('dropped', zone)],
      [1, 1, 1],
    );
    assert.equal(value('allowed', { server: SERVER, view: '' }), 2);
  });

  it('does not apply to the agent’s own queries', () => {
    const question = { name: nameFromText('a.example'), type: TYPE.A, dnssecOk: false };
    const server = { index: 0, label: SERVER };
    const query = Query.internal({ ...question, checkingDisabled: false, server }, 0);
    const next = new NextSpy();
    assert.equal(ask(acl('acl {\nblock\n}').plugin, query, next.handler), next.answer);
  });

  it('applies to what a plugin asks in the name of a client', () => {
    const question = { name: nameFromText('a.example'), type: TYPE.A, dnssecOk: false };
    const server = { index: 0, label: SERVER };
    const { plugin } = acl('acl {\nblock net 10.244.0.0/24\n}');
    const rcodeFor = (address: string): number => {
      const client = clientAt(address, 1);
      const query = Query.internal({ ...question, checkingDisabled: false, server, client }, 0);
      return ask(plugin, query, new NextSpy().handler).rcode;
    };
    assert.deepEqual([rcodeFor('10.244.0.7'), rcodeFor('10.244.1.7')], [RCODE.REFUSED, 0]);
  });

  for (const text of [
    'acl {\nreject\n}',
    'acl {\nblock type\n}',
    'acl {\nblock net\n}',
    'acl {\nblock net type A\n}',
    'acl {\nblock type NOTYPE\n}',
    'acl {\nblock net 10.0.0.0/33\n}',
    'acl {\nblock everyone\n}',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => acl(text), { name: 'ConfigError' });
    });
  }
});
