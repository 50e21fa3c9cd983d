/** The renderer of charts in test/support/helm means what helm means. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { renderChart } from '../../support/helm/render.ts';
import type { Resource } from '../manifests/kustomize.ts';
import { CHART, idOf, MODES, render, type Values } from './charts.ts';
import { EVERY_VALUE } from './every-value.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodens-renderer-'));
after(() => rmSync(folder, { recursive: true }));

describe('the renderer of these tests', () => {
  const SETS: readonly Values[] = [
    ...MODES.map((mode) => ({ mode })),
    {
      podMonitor: { enabled: true },
      prometheusRule: { enabled: true },
      dashboard: { enabled: true },
    },
    { mode: 'drop-in', prometheusRule: { enabled: true }, extraBlocks: 'a.test {\n whoami\n}\n' },
    { autopath: { enabled: true }, clusterRecords: { enabled: true } },
    { agent: { extraArgs: ['--memory=9Mi'] }, podAnnotations: { a: 'b' }, image: { tag: 'x' } },
    ...MODES.map((mode) => ({ ...EVERY_VALUE, mode })),
  ];

  it('gives the same objects as helm, where that is installed', (t) => {
    for (const [at, values] of SETS.entries()) {
      const file = join(folder, `values-${at}.json`);
      writeFileSync(file, JSON.stringify(values));
      const args = ['template', 'nodens', CHART, '-n', 'kube-system', '--kube-version=1.31.0'];
      const run = spawnSync('helm', [...args, '-f', file], {
        encoding: 'utf8',
        maxBuffer: 2 ** 24,
      });
      if (run.error !== undefined) {
        t.diagnostic('no helm on this machine: not compared with helm');
        return;
      }
      assert.equal(run.status, 0, run.stderr);
      const real = parseAllDocuments(run.stdout).flatMap((one) => (one.toJS() as Resource) ?? []);
      const sums = (resources: readonly Resource[]): Record<string, Resource> =>
        Object.fromEntries(resources.map((one) => [idOf(one), one]));
      assert.deepEqual(sums(render(values)), sums(real), JSON.stringify(values));
    }
  });

  it('refuses what it does not know', () => {
    const chart = join(folder, 'unknown');
    for (const text of [
      '{{ lookup "v1" }}',
      '{{ if true }}',
      '{{ end }}',
      '{{ $x }}',
      '{{ (list 1).first }}',
      '{{ .Values }}',
    ]) {
      cpSync(CHART, chart, { recursive: true, dereference: true });
      writeFileSync(join(chart, 'templates/cleanup.yaml'), text);
      assert.throws(() => renderChart(chart, {}), Error, text);
    }
  });
});
