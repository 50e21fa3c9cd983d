/** The dashboard is one that Grafana can show, and asks for series that exist. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  DASHBOARD,
  type DashboardPanel,
  filledIn,
  PANELS,
} from '../../support/metrics/dashboard.ts';
import { knownSeries, unknownIn } from '../../support/metrics/promql.ts';
import { RECORDINGS } from '../../support/metrics/rules.ts';
import { build } from '../manifests/kustomize.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const COLUMNS = 24;
const ROWS = [
  ...['SLO', 'Traffic', 'Cache', 'Upstreams', 'Interception', 'Resources', 'Saved work', 'Rollout'],
];
const exprs = PANELS.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);

function overlap(a: DashboardPanel, b: DashboardPanel): boolean {
  const [p, q] = [a.gridPos, b.gridPos];
  return p.x < q.x + q.w && q.x < p.x + p.w && p.y < q.y + q.h && q.y < p.y + p.h;
}

describe('the dashboard', () => {
  it('has its rows', () => {
    const rows = DASHBOARD.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
    assert.deepEqual(rows, ROWS);
    for (const [at, panel] of DASHBOARD.panels.entries())
      if (panel.type === 'row')
        assert.notEqual(DASHBOARD.panels[at + 1]?.type ?? 'row', 'row', panel.title);
  });

  it('has panels that do not overlap, each with a title, a description, a unit and a source', () => {
    const { panels } = DASHBOARD;
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
    for (const [at, one] of panels.entries()) {
      assert.ok(one.gridPos.x + one.gridPos.w <= COLUMNS, one.title);
      for (const other of panels.slice(at + 1))
        assert.ok(!overlap(one, other), `${one.title} and ${other.title}`);
    }
    for (const { title, description, datasource, fieldConfig, targets = [] } of PANELS) {
      assert.ok((description ?? '').endsWith('.'), title);
      assert.ok(fieldConfig?.defaults.unit !== undefined, title);
      const sources = [datasource, ...targets.map((target) => target.datasource)];
      assert.ok(
        sources.every((source) => source?.uid === '$'.concat('{datasource}')),
        title,
      );
      assert.ok(targets.length > 0, title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
  });

  it('asks for series and labels that docs/reference/metrics.md has', () => {
    const known = knownSeries();
    const variables = DASHBOARD.templating.list.flatMap(({ definition }) => definition ?? []);
    const annotations = DASHBOARD.annotations.list.map(({ expr }) => expr);
    const all = [...exprs.map(({ expr }) => expr), ...variables, ...annotations];
    assert.ok(all.length > 60);
    assert.deepEqual(
      all.flatMap((expr) => unknownIn(expr, known)),
      [],
    );
  });

  it('uses records of the rules that exist', () => {
    const names = new Set(RECORDINGS.map(({ record }) => record));
    const used = exprs.flatMap(({ expr }) => expr.match(/\bnodens:[\w:]+/g) ?? []);
    assert.ok(used.length > 0);
    assert.deepEqual(
      used.filter((name) => !names.has(name)),
      [],
    );
  });

  it('takes the nodes and the job that the operator chose', () => {
    // Shares of all nodes are recorded without them.
    const without = exprs.filter(
      ({ expr }) => !expr.includes('$instance') && !/^(1 - )?nodens:\w+:ratio/.test(expr),
    );
    assert.deepEqual(without, []);
    assert.doesNotMatch(exprs.map(({ expr }) => filledIn(expr, 'j')).join(), /\$/);
  });

  it('is a ConfigMap that the sidecar of Grafana finds', () => {
    const [map, ...others] = build(`${ROOT}deploy/grafana`);
    assert.deepEqual(others, []);
    assert.deepEqual(map?.metadata.labels, { grafana_dashboard: '1' });
    const text = readFileSync(`${ROOT}deploy/grafana/nodens.json`, 'utf8');
    assert.deepEqual(map?.data, { 'nodens.json': text });
  });
});
