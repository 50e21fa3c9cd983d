/** Prometheus itself takes the rules, and each alert fires when it must and only then. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { knownSeries, seriesIn, unknownIn } from '../../support/metrics/promql.ts';
import { ALERTS, RECORDINGS, RULES_FILE } from '../../support/metrics/rules.ts';
import { hasProgram } from '../../support/packages.ts';
import { RULE_CASES, type RuleCase, type Series } from './rule-cases.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodens-rules-'));
after(() => rmSync(folder, { recursive: true }));

function promtool(t: TestContext, ...args: readonly string[]): void {
  if (!hasProgram('promtool')) {
    t.skip('promtool (Debian: prometheus) is not installed');
    return;
  }
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

/** One test of promtool's `tests`. The alert is read from the series that Prometheus makes of it. */
function ruleTest({ alert, severity, at }: RuleCase, series: Series, isFiring: boolean): object {
  const labels = `{alertname="${alert}", severity="${severity}"}`;
  const expr = `count by (alertname, severity) (ALERTS{alertname="${alert}", severity="${severity}", alertstate="firing"})`;
  return {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      { expr, eval_time: at, exp_samples: isFiring ? [{ labels, value: 1 }] : [] },
    ],
  };
}

describe('the rules for Prometheus', () => {
  it('are what promtool accepts', (t) => promtool(t, 'check', 'rules', RULES_FILE));

  for (const [name, isFiring] of [
    ['every alert fires', true],
    ['no alert fires below its threshold, or for another server', false],
  ] as const)
    it(name, (t) => {
      const tests = RULE_CASES.map((one) =>
        ruleTest(one, isFiring ? one.fires : one.quiet, isFiring),
      );
      const file = join(folder, `${isFiring}.json`);
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ rule_files: [RULES_FILE], tests }));
      promtool(t, 'test', 'rules', file);
    });

  it('are all tested, with the series that they ask for', () => {
    const idOf = (alert: string, severity: string): string => `${alert} ${severity}`;
    const tested = new Set(RULE_CASES.map(({ alert, severity }) => idOf(alert, severity)));
    const all = ALERTS.map(({ alert, labels }) => idOf(alert, labels.severity));
    assert.deepEqual([...tested].sort(), all.toSorted());
    for (const { alert, fires, quiet } of RULE_CASES) {
      const names = (series: Series): string[] =>
        Object.keys(series).map((name) => name.replace(/\{.*/, ''));
      const missing = [...new Set(names(fires))].filter((name) => !names(quiet).includes(name));
      const optional = ['kube_pod_container_status_last_terminated_reason'];
      assert.deepEqual(
        missing.filter((name) => !optional.includes(name)),
        [],
        alert,
      );
    }
  });

  it('ask for series and labels that docs/reference/metrics.md has', () => {
    const known = knownSeries();
    const asked = [...RECORDINGS, ...ALERTS].flatMap(({ expr }) => unknownIn(expr, known));
    assert.deepEqual(asked, []);
  });

  it('record every name that they use, once', () => {
    const names = RECORDINGS.map(({ record }) => record);
    assert.deepEqual(names, [...new Set(names)]);
    const used = [...RECORDINGS, ...ALERTS].flatMap(
      ({ expr }) => expr.match(/\bnodens:[\w:]+/g) ?? [],
    );
    assert.deepEqual(
      [...new Set(used)].filter((name) => !names.includes(name)),
      [],
    );
    assert.deepEqual(
      names.filter((name) => !used.includes(name)),
      [],
      'recorded in vain',
    );
  });

  it('take series of CoreDNS only from an instance that is nodens', () => {
    const others = ALERTS.filter(({ expr }) => {
      const names = seriesIn(expr).map(({ name }) => name);
      return names.some((name) => /^coredns_/.test(name)) && !names.includes('nodens_config_valid');
    });
    assert.deepEqual(
      others.map(({ alert }) => alert),
      [],
    );
  });
});

describe('the check of series', () => {
  it('finds names and labels that do not exist, and nothing else', () => {
    const unknown = (expr: string): number => unknownIn(expr).length;
    assert.equal(unknown('rate(nodens_no_such_total[5m])'), 1);
    assert.equal(unknown('coredns_dns_request_duration_seconds > 1'), 1);
    assert.equal(unknown('nodens_upstream_state{sate="up"}'), 1);
    assert.equal(unknown('sum(nodens_config_valid) / coredns_cache_entries_total'), 1);
    for (const expr of [
      'sum by (instance, le) (rate(coredns_dns_request_duration_seconds_bucket{le="0.064"}[5m]))',
      'nodens:queries:rate5m > 1',
      'nodens_upstream_state{state="up", job=~"nodens_no_label.+"} == 1',
      'up{instance="a"} and on (instance) nodens_config_valid',
    ])
      assert.equal(unknown(expr), 0, expr);
  });
});
