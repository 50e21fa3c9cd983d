/** The meaning of a directive given twice in a block, as `import *.override` causes it: as in CoreDNS, for each plugin. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PLUGINS } from '../../../agent/plugins/order.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import { setUp } from '../../support/corefiles/set-up.ts';
import { ask, queryFor } from '../../support/dns/queries.ts';
import { type FakeServices, fakeServices } from '../../support/services.ts';

/** `error`: refused. `first`: the others are not even read. `merged`: all are read, the last word counts or they add up. */
const BEHAVIOUR: Readonly<Record<string, 'error' | 'first' | 'merged'>> = {
  acl: 'merged',
  any: 'first',
  autopath: 'error',
  bind: 'merged',
  bufsize: 'first',
  cache: 'error',
  cancel: 'merged',
  chaos: 'first',
  debug: 'merged',
  dns64: 'merged',
  dnstap: 'merged',
  errors: 'error',
  forward: 'merged',
  header: 'merged',
  health: 'merged',
  hosts: 'error',
  kubernetes: 'error',
  loadbalance: 'merged',
  local: 'merged',
  log: 'merged',
  loop: 'error',
  metadata: 'error',
  minimal: 'first',
  nsid: 'error',
  pprof: 'error',
  prometheus: 'error',
  ready: 'error',
  reload: 'first',
  rewrite: 'merged',
  status: 'error',
  template: 'merged',
  timeouts: 'merged',
  trace: 'merged',
  view: 'error',
  whoami: 'first',
};

/** A use that each plugin accepts; for the others its bare name. */
const USES: Readonly<Record<string, string>> = {
  acl: 'acl {\nblock net 10.0.0.0/8\n}',
  autopath: 'autopath @node',
  bind: 'bind 127.0.0.1',
  dnstap: 'dnstap /run/tap.sock',
  forward: 'forward . 192.0.2.1',
  header: 'header {\nresponse set ra\n}',
  kubernetes: 'kubernetes cluster.local',
  rewrite: 'rewrite type A AAAA',
  template: 'template IN A {\nrcode NXDOMAIN\n}',
  timeouts: 'timeouts {\nread 5s\n}',
  view: 'view a {\nexpr true\n}',
};

function built(name: string, text: string): FakeServices {
  const services = fakeServices();
  const plugin = PLUGINS.find((candidate) => candidate.name === name);
  assert.ok(plugin !== undefined);
  setUp(plugin.setup, text, services);
  return services;
}

describe('a directive that is used twice', () => {
  for (const { name } of PLUGINS) {
    const use = USES[name] ?? name;
    const behaviour = BEHAVIOUR[name];
    it(`${name}: ${behaviour}`, () => {
      assert.ok(behaviour !== undefined, `say what ${name} does`);
      const twice = () => built(name, `${use}\n${use}`);
      if (behaviour === 'error') {
        assert.throws(
          twice,
          /Corefile:\d+: .* is allowed once per server block and is already at /,
        );
        return;
      }
      const warnings = twice().log.records.map(({ message }) => message);
      const ignored = warnings.filter((text) => text.includes('in this server block: ignored'));
      assert.equal(ignored.length, behaviour === 'first' ? 1 : 0, warnings.join('\n'));
    });
  }

  it('empty braces are no error for a directive without options', () => {
    for (const name of [
      'bufsize',
      'cancel',
      'chaos',
      'debug',
      'loop',
      'metadata',
      'nsid',
      'reload',
    ])
      built(name, `${name} {\n}`);
    assert.throws(() => built('bufsize', 'bufsize {\nsize 512\n}'), /takes no braces/);
  });
});

describe('of several uses', () => {
  it('reload: the first counts, whatever the others are', () => {
    const { asked } = built('reload', 'reload 10s 0s\nreload nonsense');
    assert.deepEqual(asked.reload, { intervalMs: 10_000, jitterMs: 0 });
  });

  it('health: the last address and the last lameduck count', () => {
    const { pages, asked } = built(
      'health',
      'health 127.0.0.1:8081 {\nlameduck 5s\n}\nhealth :8082\nhealth {\nlameduck 1s\n}',
    );
    assert.deepEqual(
      pages.map(({ address }) => address),
      [':8082'],
    );
    assert.equal(asked.lameduckMs, 1_000);
  });

  it('timeouts: the last use of each option counts', () => {
    const { asked } = built('timeouts', 'timeouts {\nread 5s\nidle 6s\n}\ntimeouts {\nread 7s\n}');
    assert.deepEqual(asked.tcpTimeouts, { readMs: 7_000, idleMs: 6_000 });
  });

  it('cancel: the last counts, which may be the default', () => {
    const budgetOf = (text: string): number => {
      const { setup } = PLUGINS.find(({ name }) => name === 'cancel') ?? assert.fail();
      let budgetMs = 0;
      const next: Handler = (query) => {
        budgetMs = query.budgetMs;
        throw new Error('seen');
      };
      assert.throws(() => ask(setUp(setup, text), queryFor('a.example', 'A'), next), /seen/);
      return budgetMs;
    };
    assert.equal(budgetOf('cancel 1s\ncancel 2s'), 2_000);
  });

  it('dns64: the last prefix counts', () => {
    assert.throws(() => built('dns64', 'dns64 64:ff9b::/96\ndns64 64:ff9b::/33'), /ff9b::\/33/);
    built('dns64', 'dns64 64:ff9b::/96\ndns64 {\nprefix fd00::/64\ntranslate_all\n}');
  });
});

describe('words in capitals', () => {
  for (const [name, text] of [
    ['cache', 'cache {\nserve_stale 1h VERIFY 200ms\n}'],
    ['cache', 'cache {\nserve_stale Immediate\n}'],
    ['trace', 'trace ZIPKIN localhost:9411'],
    ['acl', 'acl {\nBlock TYPE any NET *\n}'],
    ['header', 'header {\nQuery SET RD\n}'],
    ['rewrite', 'rewrite STOP Name Exact a.example b.example'],
    ['rewrite', 'rewrite EDNS0 LOCAL SET 0xffee abc'],
    ['forward', 'forward . 192.0.2.1 {\nfailover servfail\n}'],
  ] as const)
    it(`${text.replaceAll('\n', ' ')} is accepted as in CoreDNS`, () => void built(name, text));
});
