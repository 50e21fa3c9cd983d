import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CLASS, type TYPE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/local/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, decoded, NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { fakeServices } from '../../../support/services.ts';

const COUNTER = 'coredns_local_localhost_requests_total';

function local(text = 'local') {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  return { plugin: setup(directive, block, services), services };
}

/** `RCODE`, then `owner type data` of the records in the answer and authority sections. */
function reported(name: string, type: keyof typeof TYPE): string[] {
  const next = new NextSpy();
  const answer = ask(local().plugin, queryFor(name, type), next.handler);
  if (next.asked > 0) return ['next'];
  const { answers = [], authorities = [], ...rest } = decoded(answer);
  const lines = [...answers, ...authorities].map((record) => {
    assert.ok('ttl' in record && 'data' in record && record.ttl === 604_800);
    const data = record.type === 'SOA' ? record.data.mname : String(record.data);
    return `${record.name} ${record.type} ${data}`;
  });
  return [String((rest as { rcode?: string }).rcode), ...lines];
}

describe('local', () => {
  for (const [name, type, expected] of [
    ['localhost', 'A', ['NOERROR', 'localhost A 127.0.0.1']],
    ['LOCALHOST', 'AAAA', ['NOERROR', 'localhost AAAA ::1']],
    ['localhost', 'MX', ['NOERROR', 'localhost SOA localhost']],
    ['localhost', 'NS', ['NOERROR', 'localhost NS localhost']],
    ['localhost', 'SOA', ['NOERROR', 'localhost SOA localhost']],
    ['a.b.localhost', 'A', ['NOERROR', 'a.b.localhost A 127.0.0.1']],
    ['localhost.example.org', 'A', ['NOERROR', 'localhost.example.org A 127.0.0.1']],
    ['localhost.example.org', 'NS', ['NOERROR', 'localhost.example.org SOA localhost']],
    ['1.0.0.127.in-addr.arpa', 'PTR', ['NOERROR', '1.0.0.127.in-addr.arpa PTR localhost']],
    ['1.0.0.127.in-addr.arpa', 'A', ['NOERROR', '127.in-addr.arpa SOA localhost']],
    ['2.0.0.127.in-addr.arpa', 'PTR', ['NXDOMAIN', '127.in-addr.arpa SOA localhost']],
    ['255.in-addr.arpa', 'NS', ['NOERROR', '255.in-addr.arpa NS localhost']],
    ['0.in-addr.arpa', 'A', ['NOERROR', '0.in-addr.arpa SOA localhost']],
    ['notlocalhost', 'A', ['next']],
    ['localhostx.example', 'A', ['next']],
    ['1.0.0.10.in-addr.arpa', 'PTR', ['next']],
    ['.', 'NS', ['next']],
  ] as const) {
    it(`${name} ${type}`, () => assert.deepEqual(reported(name, type), expected));
  }

  it('counts prefixes, and passes them on where configured', () => {
    const { plugin, services } = local();
    ask(plugin, queryFor('localhost', 'A'), new NextSpy().handler);
    assert.equal(services.metrics.value(COUNTER), 0);
    ask(plugin, queryFor('localhost.example', 'A'), new NextSpy().handler);
    assert.equal(services.metrics.value(COUNTER), 1);
    const next = new NextSpy();
    const off = local('local {\nlocalhost_prefix off\n}').plugin;
    assert.equal(ask(off, queryFor('localhost.example', 'A'), next.handler), next.answer);
  });

  it('answers class IN only', () => {
    const next = new NextSpy();
    const query = queryFor('localhost', 'A', { class: CLASS.CH });
    assert.equal(ask(local().plugin, query, next.handler), next.answer);
  });

  for (const text of ['local x', 'local {\nlocalhost_prefix maybe\n}', 'local {\nfoo on\n}']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => local(text), { name: 'ConfigError' });
    });
  }
});
