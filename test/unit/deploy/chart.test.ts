/** The chart renders the objects of the overlays, and its values change what they say. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parse } from 'yaml';
import { renderChart } from '../../support/helm/render.ts';
import {
  build,
  type Container,
  containersOf,
  type PodSpec,
  type Resource,
} from '../manifests/kustomize.ts';
import { schemaErrors } from '../manifests/schema.ts';
import { CHART, find, idOf, MODES, podIn, ROOT, render, type Values } from './charts.ts';

const OVERLAYS = `${ROOT}manifests/overlays`;

const COMPONENTS = ['autopath', 'cluster-records'];
/** Value of the chart that switches a component on. */
const valueNameOf = (component: string): string =>
  component.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

const folder = mkdtempSync(join(tmpdir(), 'nodens-chart-'));
after(() => rmSync(folder, { recursive: true }));

/** By kind and name, without the checksum that rolls the pods (kustomize has a suffix of a name instead). */
function comparable(resources: readonly Resource[]): Record<string, unknown> {
  const sorted = resources.toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  return Object.fromEntries(
    sorted.map((resource) => {
      const copy = structuredClone(resource) as unknown as {
        spec?: { template?: { metadata: { annotations?: Record<string, string> } } };
      };
      const metadata = copy.spec?.template?.metadata;
      delete metadata?.annotations?.['checksum/settings'];
      if (metadata !== undefined && Object.keys(metadata.annotations ?? {}).length === 0)
        delete metadata.annotations;
      return [idOf(resource), copy];
    }),
  );
}

/** The overlay as an operator gets it: with the placeholders of the drop-in filled in. */
function overlay(mode: string): Resource[] {
  const built = build(`${OVERLAYS}/${mode}`);
  if (mode !== 'drop-in') return built;
  const text = JSON.stringify(built)
    .replaceAll('__PILLAR__LOCAL__DNS__', '169.254.20.10')
    .replaceAll('__PILLAR__DNS__SERVER__', '10.96.0.10')
    .replaceAll('__PILLAR__DNS__DOMAIN__', 'cluster.local');
  return JSON.parse(text) as Resource[];
}

describe('the chart', () => {
  for (const mode of MODES)
    it(`renders the objects of the overlay ${mode}`, () => {
      assert.deepEqual(comparable(render({ mode })), comparable(overlay(mode)));
    });

  for (const mode of ['iptables-nftables', 'ipvs'])
    it(`with podMonitor renders the objects of ${mode} with the component of the PodMonitor`, () => {
      const copy = join(folder, mode);
      cpSync(`${ROOT}manifests`, copy, { recursive: true });
      const file = join(copy, 'overlays', mode, 'kustomization.yaml');
      const text = readFileSync(file, 'utf8').replace('# - ../../monitoring', '- ../../monitoring');
      writeFileSync(file, text);
      const built = build(join(copy, 'overlays', mode));
      const rendered = render({ mode, podMonitor: { enabled: true } });
      assert.deepEqual(comparable(rendered), comparable(built));
    });

  for (const names of [...COMPONENTS.map((name) => [name]), COMPONENTS])
    it(`renders ipvs with ${names.join(' and ')} as kustomize does`, () => {
      const copy = join(folder, names.join('-'));
      cpSync(`${ROOT}manifests`, copy, { recursive: true });
      const own = join(copy, 'own');
      mkdirSync(own);
      const lines = [
        ...['apiVersion: kustomize.config.k8s.io/v1beta1', 'kind: Kustomization'],
        'resources: [../overlays/ipvs]',
        `components: [${names.map((name) => `../components/${name}`).join(', ')}]`,
      ];
      writeFileSync(join(own, 'kustomization.yaml'), `${lines.join('\n')}\n`);
      const on = { enabled: true };
      const values = Object.fromEntries(names.map((name) => [valueNameOf(name), on]));
      assert.deepEqual(comparable(render({ mode: 'ipvs', ...values })), comparable(build(own)));
      assert.throws(() => render({ mode: 'drop-in', ...values }), /needs mode/);
    });

  it('has a value for each component of the manifests', () => {
    assert.deepEqual(COMPONENTS, readdirSync(`${ROOT}manifests/components`).sort());
  });

  it('has a mode for each overlay, and its version', () => {
    const { properties } = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as {
      properties: Readonly<Record<string, { enum?: readonly string[] }>>;
    };
    assert.deepEqual(properties.mode?.enum?.toSorted(), MODES);
    const values = parse(readFileSync(`${CHART}/values.yaml`, 'utf8')) as Values;
    assert.deepEqual(['global', ...Object.keys(values)].sort(), Object.keys(properties).sort());
    const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Values;
    const chart = parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8')) as Values;
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  });

  it('is refused on a cluster without native sidecars, where the mode needs them', () => {
    const old = { kubeVersion: 'v1.28.3' };
    assert.throws(() => renderChart(CHART, { mode: 'ipvs' }, old), /1\.29/);
    assert.ok(renderChart(CHART, { mode: 'drop-in' }, old).objects.length > 0);
  });
});

describe('values of the chart', () => {
  const digest = `sha256:${'a'.repeat(64)}`;

  for (const mode of MODES)
    it(`${mode}: image by digest, tolerations, node selector, pull secrets and annotations`, () => {
      const objects = render({
        mode,
        image: { repository: 'registry.test/nodens', digest },
        imagePullSecrets: [{ name: 'pull' }],
        tolerations: [{ key: 'dns', operator: 'Exists' }],
        nodeSelector: { pool: 'a' },
        affinity: { nodeAffinity: {} },
        podAnnotations: { 'example.test/team': 'dns' },
        updateStrategy: { type: 'OnDelete' },
      });
      const images = objects.flatMap(containersOf).map(({ image }) => image);
      assert.deepEqual([...new Set(images)], [`registry.test/nodens@${digest}`]);
      const pod = podIn(objects) as PodSpec & Values;
      assert.deepEqual(pod.tolerations, [{ key: 'dns', operator: 'Exists' }]);
      assert.deepEqual(pod.nodeSelector, { pool: 'a' });
      assert.deepEqual(pod.imagePullSecrets, [{ name: 'pull' }]);
      const { template, updateStrategy } = find(objects, 'DaemonSet').spec as {
        template: { metadata: { annotations: Values } };
        updateStrategy: unknown;
      };
      assert.equal(template.metadata.annotations['example.test/team'], 'dns');
      assert.deepEqual(updateStrategy, { type: 'OnDelete' });
      assert.deepEqual(
        objects.flatMap((one) => schemaErrors(one)),
        [],
      );
    });

  it('resources and arguments of both containers', () => {
    const resources = { limits: { memory: '512Mi' } };
    const objects = render({
      agent: { resources, extraArgs: ['--memory=64Mi'] },
      init: { resources, extraArgs: ['--force'] },
    });
    const own = containersOf(find(overlay('iptables-nftables'), 'DaemonSet'));
    for (const [at, more] of [
      [0, '--force'],
      [1, '--memory=64Mi'],
    ] as const) {
      const container = containersOf(find(objects, 'DaemonSet'))[at] as Container;
      assert.deepEqual(container.resources, resources);
      assert.deepEqual(container.args, [...(own[at]?.args ?? []), more]);
    }
  });

  for (const mode of ['ipvs', 'drop-in'])
    it(`${mode}: a Corefile in place of the own one, and more server blocks`, () => {
      const corefileOf = (values: Values): string =>
        (
          find(
            render({ mode, ...values }),
            'ConfigMap',
            mode === 'ipvs' ? 'nodens' : 'node-local-dns',
          ).data as Record<string, string>
        ).Corefile as string;
      assert.equal(corefileOf({ corefile: '. {\n}\n' }), '. {\n}\n');
      const extra = corefileOf({ extraBlocks: 'corp.test:53 {\n    forward . 192.0.2.1\n}\n' });
      assert.equal(extra, `${corefileOf({})}\ncorp.test:53 {\n    forward . 192.0.2.1\n}\n`);
    });

  it('another namespace: the Services in front of kube-dns stay with kube-dns', () => {
    const { objects } = renderChart(
      CHART,
      {
        kubeDnsNamespace: 'dns-pods',
        upstreamServiceHost: '10.96.0.11',
        podMonitor: { enabled: true },
      },
      { namespace: 'dns' },
    );
    const resources = objects as unknown as Resource[];
    for (const resource of resources) {
      const isForKubeDns = ['nodens-upstream', 'nodens-endpoints'].includes(resource.metadata.name);
      assert.equal(resource.metadata.namespace, isForKubeDns ? 'dns-pods' : 'dns', idOf(resource));
    }
    const args = podIn(resources).initContainers?.[0]?.args ?? [];
    assert.ok(args.includes('--fallback-service=nodens-endpoints.dns-pods.svc.$(CLUSTER_DOMAIN)'));
    const settings = find(resources, 'ConfigMap', 'nodens-settings').data as Values;
    assert.equal(settings.NODENS_UPSTREAM_SERVICE_HOST, '10.96.0.11');
  });

  it('cilium: addresses to listen on, and no other namespace than that of kube-dns', () => {
    const listenIPs = '0.0.0.0,::';
    const [agent] = podIn(render({ mode: 'cilium', listenIPs })).containers;
    assert.ok(agent?.args?.includes(`--localip=${listenIPs}`));
    assert.throws(
      () => renderChart(CHART, { mode: 'cilium' }, { namespace: 'dns' }),
      /mode cilium: Cilium demands .* namespace of kube-dns/,
    );
    const moved = { mode: 'cilium', kubeDnsNamespace: 'dns' };
    const { objects } = renderChart(CHART, moved, { namespace: 'dns' });
    assert.ok(!JSON.stringify(objects).includes('"namespace":"kube-system"'));
  });

  it('a changed setting rolls the pods, a changed Corefile does not', () => {
    const annotations = (values: Values): unknown =>
      (find(render(values), 'DaemonSet').spec as { template: Resource }).template.metadata;
    assert.notDeepEqual(annotations({ kubeDnsIPs: '10.0.0.10' }), annotations({}));
    assert.deepEqual(annotations({ extraBlocks: 'a.test {\n}\n' }), annotations({}));
  });

  it('rules and dashboard are the files of deploy/', () => {
    const on = { enabled: true };
    const rules = readFileSync(`${ROOT}deploy/prometheus/rules.yaml`, 'utf8');
    const objects = render({ prometheusRule: on, dashboard: on });
    assert.deepEqual(find(objects, 'PrometheusRule').spec, parse(rules));
    const [map] = build(`${ROOT}deploy/grafana`);
    const { namespace, ...metadata } = find(objects, 'ConfigMap', 'nodens-dashboard').metadata;
    assert.equal(namespace, 'kube-system');
    assert.deepEqual({ ...find(objects, 'ConfigMap', 'nodens-dashboard'), metadata }, map);
    const based = render({ prometheusRule: { ...on, runbookBase: 'https://wiki.test/' } });
    const text = JSON.stringify(find(based, 'PrometheusRule'));
    assert.equal(
      text.match(/"https:\/\/wiki\.test\/docs\/runbooks\//g)?.length,
      text.match(/runbook_url/g)?.length,
    );
  });

  it('drop-in: rules and PodMonitor look for its pods', () => {
    const on = { enabled: true };
    const objects = render({ mode: 'drop-in', prometheusRule: on, podMonitor: on });
    const text = JSON.stringify(find(objects, 'PrometheusRule'));
    assert.match(text, /daemonset=\\"node-local-dns\\"/);
    assert.match(text, /pod=~\\"node-local-dns-\.\+\\"/);
    const monitor = JSON.stringify(find(objects, 'PodMonitor').spec);
    assert.match(monitor, /"matchLabels":\{"k8s-app":"node-local-dns"\}.*"regex":"node-cache"/);
    const names = podIn(objects).containers.map(({ name }) => name);
    assert.deepEqual(names, ['node-cache']);
  });
});
