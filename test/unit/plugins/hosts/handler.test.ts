import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import { CLASS } from '../../../../agent/dns/iana.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { ask, decoded, NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { fails, hosts, lines, passes, withFile } from './hosting.ts';

describe('hosts answers', () => {
  let plugin: Plugin;
  before(async () => {
    plugin = await hosts();
  });

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

  it('answers with AA, TTL 3600, without SOA', () => {
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

  it('builds an answer once', () => {
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
    it(`${name}: SERVFAIL, or the next plugin with fallthrough`, async () => {
      fails(await hosts(), name, 'A');
      passes(await hosts('hosts {\nfallthrough\n}'), name, 'A');
    });
  }

  it('falls through in the zones listed only', async () => {
    const plugin = await hosts('hosts {\nfallthrough example.org\n}');
    passes(plugin, 'nope.example.org', 'A');
    fails(plugin, 'nope.example.net', 'A');
  });

  it('passes on other zones, classes and addresses', async () => {
    const plugin = await hosts('hosts /etc/hosts example.org');
    passes(plugin, 'localhost', 'A');
    passes(plugin, '1.0.0.127.in-addr.arpa', 'PTR');
    passes(plugin, 'db.example.org', 'A', CLASS.CH);
    passes(await hosts(), '1.2.3.4.in-addr.arpa', 'PTR');
    passes(await hosts(), 'localhost', 'PTR');
    assert.deepEqual(lines(plugin, '1.0.0.10.in-addr.arpa', 'PTR'), ['PTR db.example.org']);
  });

  it('does not fall through for a known name unless fallthrough_unsupported', async () => {
    assert.deepEqual(lines(await hosts('hosts {\nfallthrough\n}'), 'db', 'HTTPS'), []);
    const plugin = await hosts('hosts {\nfallthrough\nfallthrough_unsupported\n}');
    passes(plugin, 'db', 'HTTPS');
    assert.deepEqual(lines(plugin, 'db', 'AAAA'), []);
  });
});

describe('hosts options', () => {
  it('adds inline lines to the file', async () => {
    const plugin = await hosts('hosts {\nfallthrough\n192.0.2.7 DB new\nttl 60\n}');
    assert.deepEqual(lines(plugin, 'db', 'A'), ['A 10.0.0.1', 'A 192.0.2.7']);
    const [record] =
      decoded(ask(plugin, queryFor('new', 'A'), new NextSpy().handler)).answers ?? [];
    assert.ok(record !== undefined && 'ttl' in record);
    assert.equal(record.ttl, 60);
  });

  it('no_reverse makes no PTR records', async () => {
    passes(await hosts('hosts {\nno_reverse\n}'), '1.0.0.127.in-addr.arpa', 'PTR');
  });

  it('skips and reports entries that are neither address nor name', async () => {
    const services = withFile('10.0.0.1 good bad..name\nnonsense line\n');
    assert.deepEqual(lines(await hosts('hosts', '.', services), 'good', 'A'), ['A 10.0.0.1']);
    assert.equal(services.log.records[0]?.fields.skipped, 2);
  });

  it('omits records that would not fit an answer', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => `10.0.${i >> 8}.${i & 255} many`);
    const services = withFile(many.join('\n'));
    const count = lines(await hosts('hosts', '.', services), 'many', 'A').length;
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
    it(`refuses ${JSON.stringify(text)}`, async () => {
      await assert.rejects(() => hosts(text), {
        name: 'ConfigError',
        message: /^\/etc\/Corefile:\d/,
      });
    });
  }
});
