import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import { CLASS, type TYPE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/hosts/setup.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { answerLines, ask, decoded, NextSpy, queryFor } from '../../../support/queries.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

const ETC_HOSTS = `# comment
127.0.0.1	localhost localhost.localdomain # me
::1 localhost
10.0.0.1 db.example.org DB
10.0.0.2 db.example.org
10.0.0.1 db.example.org
::ffff:10.0.0.3 mapped.example.org
10.0.0.9 *.apps.example.org written.apps.example.org
fe80::1%eth0 zone.example.org
`;

function hosts(text = 'hosts', zones = '.', services: FakeServices = withFile()): Plugin {
  const { directive, block } = parseDirective(text, zones);
  return setup(directive, block, services);
}

function withFile(text = ETC_HOSTS, path = '/etc/hosts'): FakeServices {
  const services = fakeServices();
  services.texts.set(path, text);
  return services;
}

function lines(plugin: Plugin, name: string, type: keyof typeof TYPE): string[] {
  const next = new NextSpy();
  const answer = ask(plugin, queryFor(name, type), next.handler);
  assert.equal(next.asked, 0, 'passed on');
  return answerLines(answer);
}

function passes(plugin: Plugin, name: string, type: keyof typeof TYPE, qclass = 1): void {
  const next = new NextSpy();
  assert.equal(ask(plugin, queryFor(name, type, { class: qclass }), next.handler), next.answer);
}

function fails(plugin: Plugin, name: string, type: keyof typeof TYPE): void {
  const next = new NextSpy();
  assert.throws(() => ask(plugin, queryFor(name, type), next.handler), {
    name: 'DnsError',
    rcode: 2,
  });
}

describe('hosts answers', () => {
  const plugin = hosts();

  for (const [name, type, expected] of [
    ['localhost', 'A', ['A 127.0.0.1']],
    ['localhost', 'AAAA', ['AAAA ::1']],
    ['DB.Example.Org', 'A', ['A 10.0.0.1', 'A 10.0.0.2']],
    ['db', 'A', ['A 10.0.0.1']],
    ['db.example.org', 'AAAA', []],
    ['db.example.org', 'MX', []],
    ['mapped.example.org', 'A', ['A 10.0.0.3']],
    ['zone.example.org', 'AAAA', ['AAAA fe80::1']],
    ['one.apps.example.org', 'A', ['A 10.0.0.9']],
    ['one.apps.example.org', 'TXT', []],
    ['*.apps.example.org', 'A', ['A 10.0.0.9']],
    ['1.0.0.127.in-addr.arpa', 'PTR', ['PTR localhost', 'PTR localhost.localdomain']],
    ['1.0.0.10.in-addr.arpa', 'PTR', ['PTR db.example.org', 'PTR db']],
    ['9.0.0.10.in-addr.arpa', 'PTR', ['PTR written.apps.example.org']],
    [`${'1.'}${'0.'.repeat(31)}ip6.arpa`, 'PTR', ['PTR localhost']],
  ] as const) {
    it(`${name} ${type}: ${expected.join(', ') || 'nothing'}`, () => {
      assert.deepEqual(lines(plugin, name, type), expected);
    });
  }

  it('speaks with authority, TTL 3600, without SOA', () => {
    const answer = ask(plugin, queryFor('db', 'A'), new NextSpy().handler);
    assert.equal(flagsOf(answer.wire) & (FLAG.AA | FLAG.QR), FLAG.AA | FLAG.QR);
    assert.equal(answer.bornMs, undefined);
    const [record] = decoded(answer).answers ?? [];
    assert.ok(record !== undefined && 'ttl' in record);
    assert.equal(record.ttl, 3_600);
    const nodata = ask(plugin, queryFor('db', 'AAAA'), new NextSpy().handler);
    assert.deepEqual(decoded(nodata).authorities, []);
    assert.equal(decoded(nodata).questions?.[0]?.type, 'AAAA');
  });

  it('makes an answer once', () => {
    const again = () => ask(plugin, queryFor('db', 'A'), new NextSpy().handler);
    assert.equal(again(), again());
  });

  it('does not mix up types that share an entry', () => {
    lines(plugin, 'db', 'MX');
    const txt = ask(plugin, queryFor('db', 'TXT'), new NextSpy().handler);
    assert.equal(decoded(txt).questions?.[0]?.type, 'TXT');
  });
});

describe('hosts does not know a name', () => {
  for (const name of ['nope', 'apps.example.org', 'a.b.apps.example.org', '.']) {
    it(`${name}: SERVFAIL, or the next plugin with fallthrough`, () => {
      fails(hosts(), name, 'A');
      passes(hosts('hosts {\nfallthrough\n}'), name, 'A');
    });
  }

  it('falls through in the zones listed only', () => {
    const plugin = hosts('hosts {\nfallthrough example.org\n}');
    passes(plugin, 'nope.example.org', 'A');
    fails(plugin, 'nope.example.net', 'A');
  });

  it('passes on what it is not asked about: other zones, classes, addresses', () => {
    const plugin = hosts('hosts /etc/hosts example.org');
    passes(plugin, 'localhost', 'A');
    passes(plugin, '1.0.0.127.in-addr.arpa', 'PTR');
    passes(plugin, 'db.example.org', 'A', CLASS.CH);
    passes(hosts(), '1.2.3.4.in-addr.arpa', 'PTR');
    passes(hosts(), 'localhost', 'PTR');
    assert.deepEqual(lines(plugin, '1.0.0.10.in-addr.arpa', 'PTR'), ['PTR db.example.org']);
  });

  it('keeps a known name to itself unless fallthrough_unsupported', () => {
    assert.deepEqual(lines(hosts('hosts {\nfallthrough\n}'), 'db', 'HTTPS'), []);
    const plugin = hosts('hosts {\nfallthrough\nfallthrough_unsupported\n}');
    passes(plugin, 'db', 'HTTPS');
    assert.deepEqual(lines(plugin, 'db', 'AAAA'), []);
  });
});

describe('hosts options', () => {
  it('adds inline lines to the file', () => {
    const plugin = hosts('hosts {\nfallthrough\n192.0.2.7 DB new\nttl 60\n}');
    assert.deepEqual(lines(plugin, 'db', 'A'), ['A 10.0.0.1', 'A 192.0.2.7']);
    const [record] =
      decoded(ask(plugin, queryFor('new', 'A'), new NextSpy().handler)).answers ?? [];
    assert.ok(record !== undefined && 'ttl' in record);
    assert.equal(record.ttl, 60);
  });

  it('no_reverse makes no PTR records', () => {
    passes(hosts('hosts {\nno_reverse\n}'), '1.0.0.127.in-addr.arpa', 'PTR');
  });

  it('skips and reports what is neither address nor name', () => {
    const services = withFile('10.0.0.1 good bad..name\nnonsense line\n');
    assert.deepEqual(lines(hosts('hosts', '.', services), 'good', 'A'), ['A 10.0.0.1']);
    assert.equal(services.log.records[0]?.fields.skipped, 2);
  });

  it('leaves out what would not fit an answer', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => `10.0.${i >> 8}.${i & 255} many`);
    const services = withFile(many.join('\n'));
    const count = lines(hosts('hosts', '.', services), 'many', 'A').length;
    assert.equal(count, 3_750);
    assert.equal(services.log.records[0]?.fields.skipped, 5_000 - count);
  });

  for (const text of [
    'hosts {\nttl 0\n}',
    'hosts {\nttl 65536\n}',
    'hosts {\nreload 5\n}',
    'hosts {\nreload -5s\n}',
    'hosts {\nno_reverse yes\n}',
    'hosts {\nfallthrough_unsupported\n}',
    'hosts {\n10.0.0.300 a\n}',
    'hosts\nhosts',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => hosts(text), { name: 'ConfigError', message: /^\/etc\/Corefile:\d/ });
    });
  }
});

describe('hosts file', () => {
  it('may be missing, with a warning', () => {
    const services = fakeServices();
    fails(hosts('hosts /nowhere', '.', services), 'localhost', 'A');
    assert.equal(services.log.records[0]?.level, 'warn');
  });

  it('must be readable where it exists', () => {
    const files = {
      ...fakeServices().files,
      read: () => {
        throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
      },
    };
    assert.throws(() => hosts('hosts', '.', fakeServices({ files })), {
      name: 'ConfigError',
      message: '/etc/Corefile:2: hosts file /etc/hosts cannot be read: EACCES: permission denied',
    });
  });

  it('is read again when it changes, and kept while it is gone', () => {
    const services = withFile('10.0.0.1 a\n');
    const plugin = hosts('hosts', '.', services);
    plugin.start?.();
    services.texts.set('/etc/hosts', '10.0.0.2 a\n');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
    services.touch('/etc/hosts');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
    services.texts.delete('/etc/hosts');
    services.touch('/etc/hosts');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
    plugin.stop?.();
    services.texts.set('/etc/hosts', '10.0.0.3 a\n');
    services.touch('/etc/hosts');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
  });

  it('is not watched with reload 0s', () => {
    const services = withFile('10.0.0.1 a\n');
    const plugin = hosts('hosts {\nreload 0s\n}', '.', services);
    plugin.start?.();
    services.texts.set('/etc/hosts', '10.0.0.2 a\n');
    services.touch('/etc/hosts');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
  });

  it('is counted once it is in force', () => {
    const services = withFile('10.0.0.1 a b\n10.0.0.1 *.c\n');
    const plugin = hosts('hosts', '.', services);
    const entries = () =>
      services.metrics.value('coredns_hosts_entries', { hostsfile: '/etc/hosts' });
    assert.equal(entries(), 0);
    plugin.start?.();
    assert.equal(entries(), 5);
    assert.equal(
      services.metrics.value('coredns_hosts_reload_timestamp_seconds'),
      services.clock.wallMs() / 1_000,
    );
  });
});
