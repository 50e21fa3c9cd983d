import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseCorefile } from '../../../agent/config/corefile/parser.ts';
import type { Block, Corefile } from '../../../agent/config/corefile/types.ts';
import { memoryFiles } from '../../support/corefiles/memory-files.ts';
import { build, type Container, containersOf, type Probe, type Resource } from './kustomize.ts';

const OVERLAYS = new URL('../../../manifests/overlays/', import.meta.url).pathname;

const DOCKERFILE = readFileSync(new URL('../../../Dockerfile', import.meta.url), 'utf8');
const ENTRYPOINT = /^ENTRYPOINT \["([^"]+)"\]$/m.exec(DOCKERFILE)?.[1];

/** The values that the agent, or the installer's sed before it, puts in place of the placeholders. */
const FILLED: Readonly<Record<string, string>> = {
  __PILLAR__UPSTREAM__SERVERS__: '/etc/resolv.conf',
  __PILLAR__CLUSTER__DNS__: '10.96.0.99',
  __PILLAR__DNS__DOMAIN__: 'cluster.local',
  __PILLAR__LOCAL__DNS__: '169.254.20.10',
  __PILLAR__DNS__SERVER__: '10.96.0.10',
};

function corefileOf(resources: readonly Resource[]): Corefile {
  const maps = resources.filter((r) => r.kind === 'ConfigMap');
  const data = Object.assign({}, ...maps.map((map) => map.data)) as Record<string, string>;
  const { Corefile: template = '', ...settings } = data;
  const set = resources.flatMap(containersOf).flatMap(({ env = [] }) => env);
  const env: Record<string, string> = { ...settings };
  for (const { name, value } of set) if (value !== undefined) env[name] = value;
  const text = Object.entries(FILLED).reduce((t, [from, to]) => t.replaceAll(from, to), template);
  assert.doesNotMatch(text, /__[A-Z_]+__/, 'a placeholder that is never filled');
  for (const [, name] of text.matchAll(/\{\$(\w+)\}/g))
    assert.ok(env[name as string] !== undefined, `$${name} is not set`);
  return parseCorefile(text, {
    file: 'Corefile',
    defaultPort: 53,
    env,
    files: memoryFiles({}),
  });
}

/** `name args…` and the body's lines of each use of `directive` in `block`. */
function usesOf(block: Block, directive: string): string[] {
  const uses = block.directives.find((d) => d.name === directive)?.uses ?? [];
  return uses.flatMap((use) =>
    [use, ...(use.body ?? [])].map((line) =>
      [line.name, ...line.args].map((t) => t.text).join(' '),
    ),
  );
}

const zonesOf = (corefile: Corefile): string[] =>
  corefile.blocks.flatMap((block) => block.keys.map((key) => `${key.zone}:${key.port}`));

for (const overlay of ['iptables-nftables', 'ipvs']) {
  const resources = build(`${OVERLAYS}${overlay}`);
  const corefile = corefileOf(resources);
  const [cluster, reverse, root] = corefile.blocks as [Block, Block, Block];

  test(`${overlay}: the Corefile serves the cluster's domain, reverse zones and everything else`, () => {
    assert.deepEqual(corefile.warnings, []);
    assert.deepEqual(zonesOf(corefile), [
      'cluster.local.:53',
      'in-addr.arpa.:53',
      'ip6.arpa.:53',
      '.:53',
    ]);
  });

  test(`${overlay}: every block binds the local IPs and serves stale answers in an outage`, () => {
    for (const block of corefile.blocks) {
      assert.deepEqual(usesOf(block, 'bind'), ['bind 169.254.20.10']);
      assert.ok(usesOf(block, 'cache').includes('serve_stale 1h verify 200ms'));
      for (const name of ['errors', 'reload', 'loop', 'prometheus'])
        assert.equal(usesOf(block, name).length, 1, name);
    }
  });

  test(`${overlay}: names above those of search paths are probed in the cluster's domain only`, () => {
    const probed = corefile.blocks.map((block) =>
      usesOf(block, 'cache').includes('nxdomain_probe'),
    );
    assert.deepEqual(probed, [true, false, false]);
  });

  test(`${overlay}: cluster names go to kube-dns by TCP, others to the node's resolvers`, () => {
    for (const block of [cluster, reverse])
      assert.deepEqual(usesOf(block, 'forward'), ['forward . 10.96.0.99', 'force_tcp']);
    assert.deepEqual(usesOf(root, 'forward'), ['forward . /etc/resolv.conf']);
  });

  test(`${overlay}: the probes use the addresses of the Corefile`, () => {
    const agent = containersOf(resources.find((r) => r.kind === 'DaemonSet') as Resource).find(
      (container) => container.name === 'agent',
    ) as Container;
    const target = (probe: Probe | undefined): string => {
      const [program, command, socket, page] = probe?.exec.command ?? [];
      assert.deepEqual([program, command], [ENTRYPOINT, 'probe']);
      const mounts = agent.volumeMounts?.map((mount) => `${mount.mountPath}/`) ?? [];
      assert.ok(
        mounts.some((path) => socket?.startsWith(path)),
        'a volume of the pod alone',
      );
      return `${page?.slice(1)} unix:${socket}`;
    };
    const health = usesOf(cluster, 'health')[0];
    assert.equal(target(agent.startupProbe), health);
    const { exec, timeoutSeconds } = agent.startupProbe as Probe;
    const [until, seconds] = exec.command.slice(4);
    assert.equal(until, '/ready', 'a slow start that becomes ready fails no probe');
    assert.ok(Number(seconds) > 0 && Number(seconds) < (timeoutSeconds ?? 1));
    assert.equal(target(agent.livenessProbe), health);
    assert.equal(target(agent.readinessProbe), usesOf(cluster, 'ready')[0]);
  });
}

test('drop-in: the stock Corefile parses as it is', () => {
  const corefile = corefileOf(build(`${OVERLAYS}drop-in`));
  assert.deepEqual(zonesOf(corefile), [
    'cluster.local.:53',
    'in-addr.arpa.:53',
    'ip6.arpa.:53',
    '.:53',
  ]);
  assert.deepEqual(usesOf(corefile.blocks[0] as Block, 'health'), ['health 169.254.20.10:8080']);
});
