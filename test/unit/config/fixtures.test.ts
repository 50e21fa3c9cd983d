import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatKey } from '../../../agent/config/corefile/keys.ts';
import { parseCorefile } from '../../../agent/config/corefile/parser.ts';
import type { Corefile, Line } from '../../../agent/config/corefile/types.ts';
import { DEFAULT_COREFILE } from '../../../agent/config/defaults.ts';
import { systemFiles } from '../../../agent/config/files.ts';
import { checkDirectives } from '../../../agent/config/known-directives.ts';
import { NO_KUBE_DNS } from '../../../agent/config/kube-dns.ts';
import { renderCorefile } from '../../../agent/config/placeholders.ts';
import {
  type CorefileFixture,
  corefileFixture,
  corefileFixtures,
} from '../../support/corefiles/fixtures.ts';
import { parseText } from '../../support/corefiles/parse.ts';

const plugins = new Set(
  (
    'bind bufsize cache debug errors forward health hosts loadbalance log loop prometheus ready ' +
    'reload whoami'
  ).split(' '),
);
const env = {
  CLUSTER_DOMAIN: 'cluster.local',
  NODE_DNS_ADDRESS: '169.254.20.10',
  KUBE_DNS_SVC_IP: '10.222.0.2',
};

function load({ text, file }: CorefileFixture): Corefile {
  const rendered = renderCorefile(text, file, {
    localIps: ['169.254.20.10', '10.96.0.10'],
    upstreamService: 'kube-dns-upstream',
    upstreamServiceIp: '10.96.0.11',
    prometheusEndpoint: ':9253',
    dnsPort: 53,
    kubeDns: NO_KUBE_DNS,
    clusterDomain: undefined,
  });
  return parseCorefile(rendered.text, { file, defaultPort: 53, env, files: systemFiles });
}

const words = (line: Line | undefined): string =>
  [line?.name, ...(line?.args ?? [])].map((token) => token?.text).join(' ');

const keysOf = (corefile: Corefile): string[] =>
  corefile.blocks.flatMap((block) => block.keys.map(formatKey));

describe('Corefiles in use', () => {
  for (const fixture of corefileFixtures()) {
    it(`${fixture.name} is parsed completely`, () => {
      const corefile = load(fixture);
      assert.ok(corefile.blocks.length > 0);
      checkDirectives(corefile, plugins);
      const text = JSON.stringify(corefile.blocks);
      assert.doesNotMatch(text, /__|\{\$|nil|"text":""/);
    });
  }

  it('are at least a dozen', () => {
    assert.ok(corefileFixtures().length >= 12);
  });

  it('the stock template starts with two local IPs, unmodified', () => {
    const corefile = load(corefileFixture('stock-nodelocaldns'));
    assert.deepEqual(keysOf(corefile), [
      'dns://cluster.local.:53',
      'dns://in-addr.arpa.:53',
      'dns://ip6.arpa.:53',
      'dns://.:53',
    ]);
    const first = corefile.blocks[0]?.directives.flatMap(({ uses }) => uses.map(words));
    assert.deepEqual(first, [
      'errors',
      'cache',
      'reload',
      'loop',
      'bind 169.254.20.10 10.96.0.10',
      'forward . 10.96.0.11',
      'prometheus :9253',
      'health 169.254.20.10:8080',
    ]);
    const root = corefile.blocks[3]?.directives.find(({ name }) => name === 'forward');
    assert.equal(words(root?.uses[0]), 'forward . /etc/resolv.conf');
  });

  it('customers’ rules are in the blocks that import them', () => {
    const corefile = load(corefileFixture('gardener'));
    assert.deepEqual(keysOf(corefile), [
      'dns://cluster.local.:53',
      'dns://.:53',
      'dns://corp.example.:53',
      'dns://branch.corp.example.:53',
    ]);
    assert.deepEqual(
      corefile.blocks.map(({ directives }) => directives.some(({ name }) => name === 'log')),
      [true, true, false],
    );
    assert.match(
      corefile.warnings.join(),
      /Corefile:25: no file matches .*generated\/\*\.override$/,
    );
  });

  it('networks become the reverse zones that they cover', () => {
    const keys = keysOf(load(corefileFixture('eks-recipe')));
    assert.deepEqual(keys.slice(3, 6), [
      'dns://20.172.in-addr.arpa.:53',
      'dns://0.10.in-addr.arpa.:53',
      'dns://1.10.in-addr.arpa.:53',
    ]);
  });
});

it('the built-in Corefile stays on the loopback', () => {
  const corefile = parseText(DEFAULT_COREFILE);
  checkDirectives(corefile, plugins);
  assert.deepEqual(keysOf(corefile), ['dns://.:1053']);
  const lines = corefile.blocks[0]?.directives.map(({ uses }) => words(uses[0])) ?? [];
  assert.ok(lines.includes('bind 127.0.0.1'));
  for (const page of ['prometheus', 'health', 'ready'])
    assert.ok(lines.includes(`${page} 127.0.0.1:9253`), page);
});
