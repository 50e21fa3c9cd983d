/** Prometheus scrapes each agent once: by annotation, or by the PodMonitor. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hasProgram } from '../../support/packages.ts';
import { build, type Resource, realBuild } from './kustomize.ts';

const MANIFESTS = new URL('../../../manifests/', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'nodens-scraping-'));
after(() => rmSync(folder, { recursive: true }));
cpSync(MANIFESTS, folder, { recursive: true });

interface Relabeling {
  readonly action: string;
  readonly sourceLabels?: readonly string[];
  readonly regex?: string;
  readonly targetLabel?: string;
  readonly replacement?: string;
}

interface PodMonitorSpec {
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly podMetricsEndpoints: readonly { readonly relabelings: readonly Relabeling[] }[];
}

interface Annotated {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
}

/** Pods and Services that a Prometheus with the usual jobs for annotations would scrape, by kind. */
function annotated(resources: readonly Resource[]): string[] {
  const isOn = ({ metadata }: Annotated): boolean =>
    metadata?.annotations?.['prometheus.io/scrape'] === 'true';
  return resources.flatMap((resource) => {
    const { template } = (resource.spec ?? {}) as { template?: Annotated };
    return [
      ...(isOn(resource as Annotated) ? [resource.kind] : []),
      ...(template !== undefined && isOn(template) ? ['Pod'] : []),
    ];
  });
}

/** Builds `overlay` with its line for the PodMonitor uncommented. */
function monitored(overlay: string): string {
  const path = join(folder, 'overlays', overlay);
  const file = join(path, 'kustomization.yaml');
  const text = readFileSync(file, 'utf8');
  const changed = text.replace('  # - ../../monitoring', '  - ../../monitoring');
  writeFileSync(file, changed);
  return path;
}

describe('each agent is scraped once', () => {
  for (const overlay of ['cilium', 'drop-in', 'iptables-nftables', 'ipvs'])
    it(`${overlay}: the pods are annotated, no Service is`, () => {
      assert.deepEqual(annotated(build(`${MANIFESTS}overlays/${overlay}`)), ['Pod']);
    });

  for (const overlay of ['cilium', 'iptables-nftables', 'ipvs'])
    it(`${overlay} with the component: a PodMonitor, and no annotation`, () => {
      const path = monitored(overlay);
      for (const resources of [build(path), realBuild(path) ?? build(path)]) {
        assert.deepEqual(annotated(resources), []);
        const monitors = resources.filter(({ kind }) => kind === 'PodMonitor');
        assert.deepEqual(
          monitors.map(({ metadata }) => [metadata.name, metadata.namespace]),
          [['nodens', 'kube-system']],
        );
        const [monitor] = monitors as [Resource];
        const { selector } = monitor.spec as unknown as PodMonitorSpec;
        const daemonSet = resources.find(({ kind }) => kind === 'DaemonSet') as Resource;
        const { selector: pods } = daemonSet.spec as { selector: unknown };
        assert.deepEqual(selector, pods);
      }
    });
});

describe('the PodMonitor', () => {
  const [monitor] = build(monitored('ipvs')).filter(({ kind }) => kind === 'PodMonitor');
  const spec = monitor?.spec as unknown as PodMonitorSpec;
  const [endpoint] = spec.podMetricsEndpoints;

  /** Targets as service discovery finds them for a pod without declared ports, one for each container. */
  const targets = ['10.1.2.3', 'fd00::3'].flatMap((ip) =>
    ['init', 'agent'].map((container) => ({
      targets: [ip],
      labels: {
        __meta_kubernetes_pod_ip: ip,
        __meta_kubernetes_pod_container_name: container,
        __meta_kubernetes_pod_node_name: 'node-1',
      },
    })),
  );

  it('makes one target of a pod, on port 9253, with the name of the node', (t) => {
    if (!hasProgram('promtool')) {
      t.skip('promtool (Debian: prometheus) is not installed');
      return;
    }
    const snake = (key: string): string => key.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
    const relabelings = endpoint?.relabelings.map((one) =>
      Object.fromEntries(Object.entries(one).map(([key, value]) => [snake(key), value])),
    );
    const job = { job_name: 'nodens', static_configs: targets, relabel_configs: relabelings };
    const file = join(folder, 'prometheus.json');
    writeFileSync(file, JSON.stringify({ scrape_configs: [job] }));
    const args = ['check', 'service-discovery', '--timeout=1s', file, 'nodens'];
    const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const found = JSON.parse(stdout) as readonly { labels?: Readonly<Record<string, string>> }[];
    // A target that the relabelings drop has no labels left.
    const kept = found.filter(({ labels }) => labels?.instance !== undefined);
    assert.deepEqual(kept.map(({ labels }) => [labels?.instance, labels?.node]).toSorted(), [
      ['10.1.2.3:9253', 'node-1'],
      ['[fd00::3]:9253', 'node-1'],
    ]);
  });
});
