import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildQuery } from '../../../../agent/dns/build.ts';
import { ednsOption } from '../../../../agent/dns/edns.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { readQueryHead } from '../../../../agent/dns/query-head.ts';
import { setup } from '../../../../agent/plugins/rewrite/setup.ts';
import { type Client, clientAt, Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, CLIENT, NextSpy } from '../../../support/dns/queries.ts';
import { fakeServices } from '../../../support/services.ts';

function queryWith(options?: Buffer, client: Client = CLIENT): Query {
  const question = { name: nameFromText('a.example'), type: TYPE.A, class: CLASS.IN };
  const wire = buildQuery({
    ...question,
    id: 1,
    flags: 0,
    dnssecOk: false,
    udpSizeBytes: 1_232,
    options,
  });
  const query = new Query();
  readQueryHead(wire, wire.length, query.head);
  const server = { index: 0, label: 'dns://169.254.20.10:53' };
  query.receive(wire, wire.length, 'udp', server, 0, () => client);
  return query;
}

/** Options, in hex, that go upstream. */
function sent(rules: string, query = queryWith()): string | undefined {
  const { directive, block } = parseDirective(rules);
  let below: Query | undefined;
  const next = new NextSpy();
  ask(setup(directive, block, fakeServices()), query, (asked) => {
    below = asked;
    return next.handler(asked);
  });
  return below?.upstreamOptions?.toString('hex');
}

const LOCAL = ednsOption(0xffee, Buffer.from('old'));

describe('rewrite edns0', () => {
  for (const [rule, expected] of [
    ['local set 0xffee 0x61626364', 'ffee000461626364'],
    ['local set 65518 abcd', 'ffee000461626364'],
    ['local set 0xffee abcd revert', 'ffee000461626364'],
    ['local set 0xffee {qname}', 'ffee000a612e6578616d706c652e'],
    ['local set 0xffee {qtype}', 'ffee00020001'],
    ['local set 0xffee {client_ip}', 'ffee00040af40007'],
    ['local set 0xffee {client_port}', 'ffee00029c75'],
    ['local set 0xffee {protocol}', 'ffee0003756470'],
    ['local set 0xffee {server_ip}', 'ffee0004a9fe140a'],
    ['local set 0xffee {server_port}', 'ffee00020035'],
    ['local set 0xffee {some/label}', undefined],
    ['local replace 0xffee abcd', undefined],
    ['local unset 0xffee', undefined],
    ['nsid set', '00030000'],
    ['subnet set 24 56', '00080007000118000af400'],
    ['subnet set 20 56', '00080007000114000af400'],
    ['subnet append 0 0', '0008000400010000'],
  ] as const) {
    it(`${rule} sends ${expected}`, () => assert.equal(sent(`rewrite edns0 ${rule}`), expected));
  }

  it('sends whole bytes of an IPv6 prefix, spare bits zero', () => {
    const client = clientAt('2001:db8:1:ffff::7', 1);
    const query = queryWith(undefined, client);
    assert.equal(sent('rewrite edns0 subnet set 24 50', query), '0008000b0002320020010db80001c0');
  });

  it('reads the client’s options', () => {
    assert.equal(
      sent('rewrite edns0 local replace 0xffee new', queryWith(LOCAL)),
      'ffee00036e6577',
    );
    assert.equal(sent('rewrite edns0 local append 0xffee new', queryWith(LOCAL)), 'ffee00036f6c64');
    assert.equal(sent('rewrite edns0 local append 0xffee new'), 'ffee00036e6577');
    assert.equal(sent('rewrite name a.example b.example', queryWith(LOCAL)), undefined);
  });

  it('sends metadata', () => {
    const query = queryWith();
    query.metadata = new Map([['some/label', 'x']]);
    assert.equal(sent('rewrite edns0 local set 0xffee {some/label}', query), 'ffee000178');
  });

  it('removes the option of an earlier rule', () => {
    const rules = 'rewrite continue edns0 nsid set\nrewrite edns0 nsid unset';
    assert.equal(sent(rules), undefined);
  });

  it('is part of the cache key', () => {
    const key = (query: Query) => query.keyIn(1);
    const derived = (options?: Buffer) => queryWith().derive({ upstreamOptions: options });
    assert.equal(key(derived()), key(queryWith()));
    assert.notEqual(key(derived(LOCAL)), key(queryWith()));
    assert.notEqual(key(derived(LOCAL)), key(derived(ednsOption(0xffee, Buffer.from('new')))));
  });
});

describe('rewrite refuses', () => {
  for (const rule of [
    '',
    'nonsense a b',
    'answer name a b',
    'name a.example',
    'name nearly a b',
    'name exact a b c',
    'name a..b c',
    'name exact a b answer',
    'name exact a b answer all',
    'name exact a b answer name x',
    'name suffix a b answer auto name x y',
    'name regex ( a',
    'name regex (a) {2}',
    `name regex ${'a'.repeat(10_001)} b`,
    'type A',
    'type A NOTYPE',
    'class IN IN IN',
    'ttl a.example',
    'ttl a.example x',
    'ttl a.example 10-5',
    'ttl a.example -',
    'ttl a.example 4294967296',
    'rcode a.example SERVFAIL',
    'rcode a.example SERVFAIL OKAY',
    'cname a.example',
    'edns0 local',
    'edns0 other set',
    'edns0 local add 1 x',
    'edns0 local set 1',
    'edns0 local set 65536 x',
    'edns0 local set 1 0xabc',
    'edns0 local set 1 {nope}',
    'edns0 nsid set x',
    'edns0 subnet set 33 56',
    'edns0 subnet set 24',
    'name a b {\nanswer auto {\n}\n}',
  ]) {
    it(JSON.stringify(rule.slice(0, 60)), () => {
      const { directive, block } = parseDirective(`rewrite ${rule}`);
      assert.throws(() => setup(directive, block, fakeServices()), {
        name: 'ConfigError',
        message: /^\/etc\/Corefile:\d/,
      });
    });
  }
});
