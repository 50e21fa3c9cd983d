import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, containersOf, type Resource, realBuild } from './kustomize.ts';
import { schemaErrors } from './schema.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const OVERLAYS = `${ROOT}manifests/overlays`;
const overlays = readdirSync(OVERLAYS).sort();

const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };

const idOf = (resource: Resource): string => `${resource.kind}/${resource.metadata.name}`;

test('the overlays are the five ways to run nodens', () => {
  assert.deepEqual(overlays, ['cilium', 'cleanup', 'drop-in', 'iptables-nftables', 'ipvs']);
});

for (const overlay of overlays) {
  const resources = build(`${OVERLAYS}/${overlay}`);

  test(`${overlay}: every resource fits the schema of its kind, with no field Kubernetes would drop`, () => {
    assert.deepEqual(
      resources.flatMap((resource) => schemaErrors(resource).map((e) => `${idOf(resource)}${e}`)),
      [],
    );
  });

  test(`${overlay}: all resources are in kube-system, where system-node-critical is allowed, and no name twice`, () => {
    for (const resource of resources) assert.equal(resource.metadata.namespace, 'kube-system');
    const ids = resources.map(idOf);
    assert.equal(new Set(ids).size, ids.length);
  });

  test(`${overlay}: every container runs this version's image`, () => {
    const images = resources.flatMap(containersOf).map((container) => container.image);
    assert.deepEqual([...new Set(images)], [`nodens:${version}`]);
  });

  test(`${overlay}: kubectl describe shows why a container ended`, () => {
    for (const { name, terminationMessagePolicy } of resources.flatMap(containersOf))
      assert.equal(terminationMessagePolicy, 'FallbackToLogsOnError', name);
  });
}

for (const overlay of ['cleanup', 'iptables-nftables', 'ipvs'])
  test(`${overlay}: runs in another namespace, and finds kube-dns's pods in theirs`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-manifests-'));
    t.after(() => rmSync(folder, { recursive: true }));
    cpSync(`${ROOT}manifests`, folder, { recursive: true });
    const file = join(folder, 'settings/namespace.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('namespace: kube-system', 'namespace: dns'));
    const path = join(folder, 'overlays', overlay);
    for (const resources of [build(path), realBuild(path) ?? []])
      for (const resource of resources) {
        const { selector } = (resource.spec ?? {}) as { selector?: Record<string, unknown> };
        const isForKubeDns = resource.kind === 'Service' && selector?.['k8s-app'] === 'kube-dns';
        const expected = isForKubeDns ? 'kube-system' : 'dns';
        assert.equal(resource.metadata.namespace, expected, idOf(resource));
        for (const { args = [] } of containersOf(resource))
          for (const arg of args.filter((word) => word.startsWith('--fallback-service=')))
            assert.match(arg, /=nodens-endpoints\.kube-system\.svc\./);
      }
  });

test('drop-in: the file runs nodens, and a rolling update waits for its pods', () => {
  const text = readFileSync(`${OVERLAYS}/drop-in/node-local-dns.yaml`, 'utf8');
  assert.deepEqual(text.match(/^ *image: .*$/gm), [`          image: nodens:${version}`]);
  const [container] = build(`${OVERLAYS}/drop-in`).flatMap(containersOf);
  assert.deepEqual(container?.readinessProbe?.httpGet, container?.livenessProbe?.httpGet);
  assert.ok(container?.readinessProbe?.httpGet !== undefined);
});

test('the schema check finds a wrong type, a missing field and an unknown one', () => {
  const fresh = (): Resource =>
    build(`${OVERLAYS}/ipvs`).find((r) => r.kind === 'DaemonSet') as Resource;
  const edit = (from: string, to: string): Resource =>
    JSON.parse(JSON.stringify(fresh()).replace(from, to)) as Resource;
  assert.match(
    schemaErrors(edit('"hostNetwork":true', '"hostNetwork":"yes"')).join(),
    /hostNetwork: type/,
  );
  assert.match(schemaErrors(edit('"selector":', '"select":')).join(), /required/);
  assert.deepEqual(schemaErrors(edit('"readOnlyRootFilesystem"', '"readOnlyRootFS"')), [
    '/spec/template/spec/initContainers/0/securityContext/readOnlyRootFS is unknown',
  ]);
});

test('the builder of these tests gives the same result as kustomize, where that is installed', (t) => {
  for (const overlay of overlays) {
    const real = realBuild(`${OVERLAYS}/${overlay}`);
    if (real === undefined) {
      t.diagnostic('no kubectl on this machine: not compared with kustomize');
      return;
    }
    const byId = (a: Resource, b: Resource): number => (idOf(a) < idOf(b) ? -1 : 1);
    assert.deepEqual(build(`${OVERLAYS}/${overlay}`).sort(byId), real.sort(byId), overlay);
  }
});
