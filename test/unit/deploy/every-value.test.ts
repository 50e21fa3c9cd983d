/** What the charts of node-local-dns and of CoreDNS let an operator change, ours does, too. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { containersOf, type Resource } from '../manifests/kustomize.ts';
import { schemaErrors } from '../manifests/schema.ts';
import { find, idOf, MODES, podIn, render, type Values } from './charts.ts';
import { EVERY_VALUE } from './every-value.ts';

/** Kinds of the Prometheus Operator have no schema here. */
const isBuiltIn = ({ apiVersion }: Resource): boolean => !apiVersion.startsWith('monitoring.');
const metadataOf = (resource: Resource): Values => resource.metadata as unknown as Values;

describe('every value of the chart', () => {
  for (const mode of MODES)
    it(`${mode}: labels and annotations of objects and pods, fields of the pod`, () => {
      const objects = render({ ...EVERY_VALUE, mode });
      assert.ok(objects.length > 1);
      for (const one of objects) {
        const { labels, annotations } = metadataOf(one) as Record<string, Values>;
        assert.equal(labels?.team, 'dns', idOf(one));
        assert.equal(labels?.watched, one.kind === 'ConfigMap' ? 'yes' : undefined, idOf(one));
        assert.equal(annotations?.['example.test/owner'], 'dns', idOf(one));
        const isReloaded = one.kind === 'DaemonSet';
        assert.equal(annotations?.['example.test/reload'], isReloaded ? 'true' : undefined);
        assert.equal(annotations?.role, one.kind === 'ServiceAccount' ? 'r' : undefined);
      }
      const { template, selector } = find(objects, 'DaemonSet').spec as {
        template: { metadata: { labels: Values; annotations?: Values } };
        selector: unknown;
      };
      assert.equal(template.metadata.labels.mesh, 'off');
      assert.doesNotMatch(JSON.stringify(selector), /mesh|team/);
      assert.equal(template.metadata.annotations?.['prometheus.io/scrape'], undefined);
      const pod = podIn(objects) as unknown as Values;
      assert.equal(pod.priorityClassName, 'dns-critical');
      assert.equal(pod.terminationGracePeriodSeconds, 45);
      assert.deepEqual(pod.hostAliases, [{ ip: '192.0.2.8', hostnames: ['proxy.test'] }]);
      const errors = objects.filter(isBuiltIn).flatMap((one) => schemaErrors(one));
      assert.deepEqual(errors, []);
    });

  for (const mode of MODES.filter((one) => one !== 'cleanup'))
    it(`${mode}: environment, volumes, containers and fields of ours`, () => {
      const own = podIn(render({ mode }));
      const pod = podIn(render({ ...EVERY_VALUE, mode }));
      const added = (key: 'containers' | 'initContainers'): string[] =>
        (pod[key] ?? []).map(({ name }) => name).slice((own[key] ?? []).length);
      assert.deepEqual([added('containers'), added('initContainers')], [['exporter'], ['wait']]);
      for (const one of containersOf(find(render({ ...EVERY_VALUE, mode }), 'DaemonSet'))) {
        if (['exporter', 'wait'].includes(one.name)) continue;
        const { env, volumeMounts, resizePolicy, imagePullPolicy } = one as unknown as Record<
          string,
          readonly Values[]
        >;
        assert.equal(imagePullPolicy, 'Always');
        assert.ok(env?.some(({ name, value }) => name === 'TZ' && value === 'UTC'));
        assert.ok((volumeMounts?.length ?? 0) > 1);
        assert.ok(volumeMounts?.some(({ mountPath }) => mountPath === '/etc/ca'));
        assert.equal(resizePolicy?.length, 1);
      }
      const { volumes } = pod as unknown as { volumes: readonly Values[] };
      assert.ok(volumes.length > 1 && volumes.some(({ name }) => name === 'ca'));
    });

  for (const [mode, map] of [
    ['ipvs', 'nodens'],
    ['drop-in', 'node-local-dns'],
  ] as const)
    it(`${mode}: servers for names outside the cluster`, () => {
      const { data } = find(render({ ...EVERY_VALUE, mode }), 'ConfigMap', map);
      const { Corefile: text = '' } = data as Record<string, string>;
      assert.match(text, /forward \. tls:\/\/192\.0\.2\.9%dns\.test 192\.0\.2\.53\n/);
      assert.doesNotMatch(text, /^[^#]*__PILLAR__UPSTREAM__SERVERS__/m);
    });

  it('servers for names outside the cluster in a Corefile of the values', () => {
    const corefile = '.:53 {\n    forward . __PILLAR__UPSTREAM__SERVERS__\n}\n';
    const objects = render({ corefile, upstreamServers: '192.0.2.53' });
    const { Corefile } = find(objects, 'ConfigMap', 'nodens').data as Record<string, string>;
    assert.equal(Corefile, corefile.replace(/__.*__/, '192.0.2.53'));
  });

  it('where objects for Prometheus and Grafana are, and how often is scraped', () => {
    const objects = render(EVERY_VALUE);
    for (const [kind, name] of [
      ['PodMonitor', 'nodens'],
      ['PrometheusRule', 'nodens'],
      ['ConfigMap', 'nodens-dashboard'],
    ] as const)
      assert.equal(find(objects, kind, name).metadata.namespace, 'monitoring');
    const dashboard = metadataOf(find(objects, 'ConfigMap', 'nodens-dashboard')) as {
      annotations: Values;
    };
    assert.equal(dashboard.annotations.grafana_folder, 'DNS');
    const { namespaceSelector, podMetricsEndpoints } = find(objects, 'PodMonitor').spec as {
      namespaceSelector: unknown;
      podMetricsEndpoints: readonly Record<string, unknown>[];
    };
    assert.deepEqual(namespaceSelector, { matchNames: ['kube-system'] });
    const [endpoint = {}] = podMetricsEndpoints;
    assert.deepEqual([endpoint.interval, endpoint.scrapeTimeout], ['15s', '10s']);
    const own = find(render({ podMonitor: { enabled: true } }), 'PodMonitor').spec as {
      podMetricsEndpoints: readonly { relabelings: readonly unknown[] }[];
    };
    assert.deepEqual(endpoint.relabelings, [
      ...(own.podMetricsEndpoints[0]?.relabelings ?? []),
      { action: 'replace', targetLabel: 'cluster', replacement: 'a' },
    ]);
    assert.equal((endpoint.metricRelabelings as unknown[]).length, 1);
  });

  for (const [mode, name] of [
    ['ipvs', 'nodens'],
    ['drop-in', 'node-local-dns'],
  ] as const)
    it(`${mode}: a ServiceMonitor, which finds the port of the headless Service`, () => {
      const objects = render({ mode, serviceMonitor: { enabled: true } });
      const { selector, endpoints } = find(objects, 'ServiceMonitor').spec as {
        selector: { matchLabels: Values };
        endpoints: readonly Values[];
      };
      assert.deepEqual(selector.matchLabels, { 'k8s-app': name });
      const withPort = objects.filter(
        ({ kind, metadata, spec }) =>
          kind === 'Service' &&
          metadata.labels?.['k8s-app'] === name &&
          (spec as { ports: readonly Values[] }).ports.some((one) => one.name === 'metrics'),
      );
      assert.deepEqual(withPort.map(idOf), [`Service/${name}`]);
      assert.equal(endpoints[0]?.port, 'metrics');
      const { template } = find(objects, 'DaemonSet').spec as {
        template: { metadata: { annotations?: Values } };
      };
      assert.equal(template.metadata.annotations?.['prometheus.io/scrape'], undefined);
      const both = { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } };
      assert.throws(() => render({ mode, ...both }), /scraped twice/);
    });
});
