import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type KubeDnsConfig, NO_KUBE_DNS, readKubeDns } from '../../../agent/config/kube-dns.ts';
import { memoryFiles } from '../../support/corefiles/memory-files.ts';

function read(
  keys: Readonly<Record<string, unknown>>,
  previous: KubeDnsConfig = NO_KUBE_DNS,
): { config: unknown; problems: string[] } {
  const texts = Object.entries(keys).map(([key, value]) => [
    `/etc/kube-dns/${key}`,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  const files = memoryFiles(Object.fromEntries(texts));
  const { config, problems } = readKubeDns('/etc/kube-dns', files, previous);
  return {
    config: {
      stubDomains: Object.fromEntries(config.stubDomains),
      upstreamNameservers: config.upstreamNameservers,
    },
    problems: problems.map((problem) => problem.message),
  };
}

const NOTHING = { stubDomains: {}, upstreamNameservers: [] };

it('reads stub domains and upstream name servers', () => {
  const keys = {
    stubDomains: { 'Acme.local': ['1.2.3.4', '1.2.3.4:5353', 'fd00::1', '[fd00::1]:54'] },
    upstreamNameservers: ['8.8.8.8', '8.8.4.4:53', 'fd00::8'],
    federations: { foo: 'foo.example' },
    other: 'anything',
  };
  assert.deepEqual(read(keys), {
    config: {
      stubDomains: { 'acme.local': keys.stubDomains['Acme.local'] },
      upstreamNameservers: keys.upstreamNameservers,
    },
    problems: [],
  });
});

it('reads a directory or a key that is absent or blank as empty', () => {
  assert.deepEqual(read({}), { config: NOTHING, problems: [] });
  assert.deepEqual(read({ stubDomains: ' \n', upstreamNameservers: [] }), {
    config: NOTHING,
    problems: [],
  });
});

it('keeps the former value of a wrong key and uses the right ones', () => {
  const previous = {
    stubDomains: new Map([['old.test', ['1.1.1.1']]]),
    upstreamNameservers: ['9.9.9.9'],
  };
  const { config, problems } = read(
    { stubDomains: '{', upstreamNameservers: ['8.8.8.8'] },
    previous,
  );
  assert.deepEqual(config, {
    stubDomains: { 'old.test': ['1.1.1.1'] },
    upstreamNameservers: ['8.8.8.8'],
  });
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /^\/etc\/kube-dns\/stubDomains:1: not valid JSON: /);
});

describe('refuses', () => {
  const table: [what: string, key: string, value: unknown, problem: RegExp][] = [
    ['no object', 'stubDomains', ['a'], /must be a JSON object/],
    ['null', 'stubDomains', null, /must be a JSON object/],
    ['a bad name', 'stubDomains', { 'a_b.test': ['1.1.1.1'] }, /"a_b\.test" is not a domain name/],
    ['a trailing dot', 'stubDomains', { 'a.test.': ['1.1.1.1'] }, /is not a domain name/],
    ['a long name', 'stubDomains', { [`${'a.'.repeat(127)}a`]: ['1.1.1.1'] }, /is not a domain/],
    ['no list', 'stubDomains', { a: '1.1.1.1' }, /stub domain a must be a JSON list/],
    ['an empty list', 'stubDomains', { a: [] }, /stub domain a has no server/],
    ['16 servers', 'stubDomains', { a: Array(16).fill('1.1.1.1') }, /has over 15 servers/],
    ['a host name', 'stubDomains', { a: ['ns.test'] }, /"ns\.test" is neither an IP address/],
    ['a scheme', 'stubDomains', { a: ['tls://1.1.1.1'] }, /is neither an IP address/],
    ['a number', 'stubDomains', { a: [1] }, /stub domain a: 1 is neither/],
    ['one domain twice', 'stubDomains', '{"a":["1.1.1.1"],"A":["1.1.1.1"]}', /listed twice/],
    ['4 upstreams', 'upstreamNameservers', Array(4).fill('1.1.1.1'), /at most 3 servers/],
    ['port 0', 'upstreamNameservers', ['1.1.1.1:0'], /is neither an IP address/],
    ['port 65536', 'upstreamNameservers', ['1.1.1.1:65536'], /is neither an IP address/],
    ['federations', 'federations', { foo: 7 }, /federation foo must be a domain name/],
  ];
  for (const [what, key, value, problem] of table) {
    it(what, () => {
      const { config, problems } = read({ [key]: value });
      assert.deepEqual(config, NOTHING);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', problem);
      assert.ok(problems[0]?.startsWith(`/etc/kube-dns/${key}:1: `));
    });
  }
});
