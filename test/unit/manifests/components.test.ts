/** Components: what they add to an overlay, and that the overlays have none of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { Block } from '../../../agent/config/corefile/types.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import {
  build,
  type Container,
  containersOf,
  type PodSpec,
  podOf,
  type Resource,
} from './kustomize.ts';
import { schemaErrors } from './schema.ts';

const MANIFESTS = new URL('../../../manifests', import.meta.url).pathname;
const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const components = readdirSync(join(MANIFESTS, 'components')).sort();

const copy = mkdtempSync(join(tmpdir(), 'nodens-components-'));
cpSync(MANIFESTS, copy, { recursive: true });
after(() => rmSync(copy, { recursive: true }));

/** Folder of a kustomization with an overlay and components, as an operator writes it. */
function combined(overlay: string, names: readonly string[]): string {
  const folder = join(copy, `with-${overlay}-${names.join('-')}`);
  mkdirSync(folder, { recursive: true });
  const lines = [
    ...['apiVersion: kustomize.config.k8s.io/v1beta1', 'kind: Kustomization'],
    `resources: [../overlays/${overlay}]`,
    `components: [${names.map((name) => `../components/${name}`).join(', ')}]`,
  ];
  writeFileSync(join(folder, 'kustomization.yaml'), `${lines.join('\n')}\n`);
  return folder;
}

const idOf = ({ kind, metadata }: Resource): string => `${kind}/${metadata.name}`;
const daemonSetOf = (resources: readonly Resource[]): Resource =>
  resources.find(({ kind }) => kind === 'DaemonSet') as Resource;
const agentOf = (resources: readonly Resource[]): Container =>
  containersOf(daemonSetOf(resources)).find(({ name }) => name === 'agent') as Container;
const mountsToken = ({ volumeMounts = [] }: Container): boolean =>
  volumeMounts.some(({ mountPath }) => mountPath === TOKEN_PATH);

for (const overlay of ['cilium', 'iptables-nftables', 'ipvs']) {
  test(`${overlay}: no token, no rule and no autopath without a component`, () => {
    const resources = build(join(MANIFESTS, 'overlays', overlay));
    const pod = podOf(daemonSetOf(resources)) as PodSpec;
    assert.equal(pod.automountServiceAccountToken, false);
    assert.ok(!containersOf(daemonSetOf(resources)).some(mountsToken));
    assert.ok(!resources.some(({ kind }) => kind.includes('Role')));
    assert.ok(!usesAutopath(resources));
  });

  for (const names of [...components.map((name) => [name]), components])
    test(`${overlay} with ${names.join(' and ')}: is what kustomize builds, and fits the schemas`, (t) => {
      const folder = combined(overlay, names);
      const resources = build(folder);
      assert.deepEqual(
        resources.flatMap((one) => schemaErrors(one).map((error) => `${idOf(one)}${error}`)),
        [],
      );
      const run = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
      if (run.error !== undefined) {
        t.diagnostic('no kubectl on this machine: not compared with kustomize');
        return;
      }
      assert.equal(run.status, 0, run.stderr);
      const text = run.stdout.replace(/nodens-settings-[a-z0-9]{10}\b/g, 'nodens-settings');
      const real = parseAllDocuments(text).map((document) => document.toJS() as Resource);
      const byId = (a: Resource, b: Resource): number => (idOf(a) < idOf(b) ? -1 : 1);
      assert.deepEqual(resources.sort(byId), real.sort(byId));
    });

  test(`${overlay} with autopath: the agent, and only it, may watch pods and knows its node`, () => {
    const resources = build(combined(overlay, ['autopath']));
    const withToken = containersOf(daemonSetOf(resources)).filter(mountsToken);
    assert.deepEqual(
      withToken.map(({ name }) => name),
      ['agent'],
    );
    const nodeName = agentOf(resources).env?.find(({ name }) => name === 'NODE_NAME');
    assert.deepEqual(nodeName?.valueFrom, { fieldRef: { fieldPath: 'spec.nodeName' } });
    const role = resources.find(({ kind }) => kind === 'ClusterRole');
    assert.deepEqual(role?.rules, [
      { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    ]);
    const binding = resources.find(({ kind }) => kind === 'ClusterRoleBinding');
    const account = resources.find(({ kind }) => kind === 'ServiceAccount') as Resource;
    assert.deepEqual(binding?.subjects, [
      {
        kind: 'ServiceAccount',
        name: account.metadata.name,
        namespace: account.metadata.namespace,
      },
    ]);
    assert.ok(usesAutopath(resources));
  });

  test(`${overlay} with cluster-records: the agent, and only it, may watch what kubernetes reads`, () => {
    const resources = build(combined(overlay, ['cluster-records']));
    const withToken = containersOf(daemonSetOf(resources)).filter(mountsToken);
    assert.deepEqual(
      withToken.map(({ name }) => name),
      ['agent'],
    );
    assert.equal(agentOf(resources).resources.limits?.memory, '192Mi');
    const role = resources.find(({ kind }) => kind === 'ClusterRole');
    assert.deepEqual(role?.rules, [
      { apiGroups: [''], resources: ['namespaces', 'services'], verbs: ['list', 'watch'] },
      {
        apiGroups: ['discovery.k8s.io'],
        resources: ['endpointslices'],
        verbs: ['list', 'watch'],
      },
    ]);
    const reverse = 'in-addr.arpa ip6.arpa';
    assert.deepEqual(recordsIn(resources), [
      ['kubernetes cluster.local', 'pods insecure'],
      [`kubernetes cluster.local ${reverse}`, `fallthrough ${reverse}`],
      [],
    ]);
    assert.ok(!usesAutopath(resources));
  });

  test(`${overlay} without cluster-records: no block has kubernetes`, () => {
    assert.deepEqual(recordsIn(build(join(MANIFESTS, 'overlays', overlay))), [[], [], []]);
  });
}

/** The words of the directive `kubernetes` in each block. */
function recordsIn(resources: readonly Resource[]): string[][] {
  return blocksOf(resources).map(({ directives }) => {
    const use = directives.find(({ name }) => name === 'kubernetes')?.uses[0];
    const lines = use === undefined ? [] : [use, ...(use.body ?? [])];
    return lines.map(({ name, args }) => [name, ...args].map(({ text }) => text).join(' '));
  });
}

/** The blocks of the Corefile as the agent reads it. */
function blocksOf(resources: readonly Resource[]): readonly Block[] {
  const map = resources.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'nodens',
  );
  const { Corefile: text = '' } = (map?.data ?? {}) as Record<string, string>;
  const env: Record<string, string> = { CLUSTER_DOMAIN: 'cluster.local' };
  for (const { name, value } of agentOf(resources).env ?? [])
    if (value !== undefined) env[name] = value;
  const { blocks, warnings } = parseText(text.replaceAll(/__[A-Z_]+__/g, '192.0.2.1'), { env });
  assert.deepEqual(warnings, []);
  return blocks;
}

/** Whether the block of the cluster domain, and only it, has the directive. */
function usesAutopath(resources: readonly Resource[]): boolean {
  const withIt = blocksOf(resources).filter(({ directives }) =>
    directives.some(({ name }) => name === 'autopath'),
  );
  assert.ok(withIt.length <= 1);
  return withIt[0]?.keys[0]?.zone === 'cluster.local.';
}
