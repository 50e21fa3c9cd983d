import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { PacedWork } from '../../../../agent/base/paced-work.ts';
import { TIME_BUCKETS } from '../../../../agent/observe/metrics/buckets.ts';
import { Exposition } from '../../../../agent/observe/metrics/exposition.ts';
import { FamilyText } from '../../../../agent/observe/metrics/family-text.ts';
import { SeriesTable } from '../../../../agent/observe/metrics/metrics.ts';
import {
  COUNTED_SERIES,
  SERIES,
  type SeriesSpec,
} from '../../../../agent/observe/metrics/names.ts';
import { TrafficTable } from '../../../../agent/observe/metrics/request-metrics.ts';
import type { Source } from '../../../../agent/observe/metrics/samples.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { render } from '../../../support/metrics/render.ts';

/** The lines of the families in `names`, as a set: the order within a family carries no meaning. */
function linesOf(body: string, names: readonly string[]): string[] {
  const mine = body
    .split('\n')
    .filter((line) => names.some((name) => line.replace(/^# (HELP|TYPE) /, '').startsWith(name)));
  return mine.map(sortLabels).sort();
}

function sortLabels(line: string): string {
  const match = /^(\w+)\{(.*)\} (.*)$/.exec(line);
  if (match === null) return line;
  const labels = (match[2] as string).split(/,(?=\w+=")/).sort();
  return `${match[1]}{${labels}} ${match[3]}`;
}

/** HELP, TYPE and samples of all families, from `texts` or from `values`. */
function linesOfAll(source: Source, isPrepared: boolean): string[] {
  return [...source.families()].flatMap((family) => {
    const text = new FamilyText(family);
    const lines = isPrepared
      ? [...(family.texts ?? [])]
      : [...family.values].map((sample) => text.line(sample));
    return [family.name, ...lines.join('').split('\n')];
  });
}

function countTraffic(traffic: TrafficTable): void {
  for (const [zone, transport] of [
    ['.', 'udp'],
    ['cluster.local.', 'tcp'],
  ] as const) {
    const query = queryFor('example.org.', 'A', { udpSizeBytes: 1232, dnssecOk: true, transport });
    for (const view of ['', 'a"b']) {
      const row = traffic.row(query.server, zone, view);
      for (const [rcode, plugin] of [
        [0, 'cache'],
        [3, 'forward'],
        [99, 'cache'],
      ] as const)
        row.record(query, rcode, 100, plugin);
      row.recordDuration(1.5, 1);
    }
  }
}

function touchEverySeries(table: SeriesTable, label = 'x'): void {
  for (const [name, spec] of Object.entries<SeriesSpec>(COUNTED_SERIES)) {
    const labels = Object.fromEntries(spec.labels.map((name) => [name, label]));
    if (spec.type === 'counter') table.counter(name, labels).value++;
    else if (spec.type === 'gauge') table.gauge(name, labels).value = 1;
    else table.histogram(name, labels).observe(0.01);
  }
}

describe('exposition', () => {
  it('writes what the library itself would write for the same counts', async () => {
    const table = new SeriesTable();
    const theirs = new Registry();
    const labels = { to: 'a"b\\c\nd', transport: 'udp' };
    const proxy = { proxy_name: 'forward', to: '10.0.0.1:53', rcode: 'NOERROR' };

    table.counter('nodens_upstream_queries_total', labels).value += 3;
    new Counter({
      name: 'nodens_upstream_queries_total',
      help: SERIES.nodens_upstream_queries_total.help,
      labelNames: Object.keys(labels),
      registers: [theirs],
    }).inc(labels, 3);

    table.gauge('nodens_cache_bytes', { store: 'answers' }).value = 1.5;
    new Gauge({
      name: 'nodens_cache_bytes',
      help: SERIES.nodens_cache_bytes.help,
      labelNames: ['store'],
      registers: [theirs],
    }).set({ store: 'answers' }, 1.5);

    const mine = table.histogram('coredns_proxy_request_duration_seconds', proxy);
    const reference = new Histogram({
      name: 'coredns_proxy_request_duration_seconds',
      help: SERIES.coredns_proxy_request_duration_seconds.help,
      labelNames: Object.keys(proxy),
      buckets: [...TIME_BUCKETS],
      registers: [theirs],
    });
    for (const value of [0.0001, 0.0005, 0.3, 20]) {
      mine.observe(value);
      reference.observe(proxy, value);
    }

    const names = [
      'nodens_upstream_queries_total',
      'nodens_cache_bytes',
      'coredns_proxy_request_duration_seconds',
    ];
    const expected = linesOf(await theirs.metrics(), names);
    assert.ok(expected.length > 20);
    assert.deepEqual(linesOf(await render([table]), names), expected);
  });

  it('writes prepared texts as it would write their samples, at each scrape', () => {
    const table = new SeriesTable();
    const traffic = new TrafficTable();
    for (const value of [0, 1, 2]) {
      const samples = [table, traffic].map((source) => linesOfAll(source, false));
      assert.deepEqual(
        [table, traffic].map((source) => linesOfAll(source, true)),
        samples,
      );
      if (value > 0) assert.ok(samples.every((lines) => lines.length > 20));
      touchEverySeries(table);
      touchEverySeries(table, 'a"b\\c\nd');
      countTraffic(traffic);
    }
    table.gauge('nodens_config_valid').value = Number.POSITIVE_INFINITY;
    table.gaugeFrom('nodens_in_flight_queries', {}, () => Number.NEGATIVE_INFINITY);
    assert.deepEqual(linesOfAll(table, true), linesOfAll(table, false));
  });

  it('has the content type of the library', async () => {
    const exposition = new Exposition([], new PacedWork(new FakeClock()));
    const { contentType } = await exposition.render(false);
    assert.equal(contentType, new Registry().contentType);
  });

  it('merges sources, in the order of names, beside the metrics of the process', async () => {
    const other: Source = {
      families: () => [
        { name: 'aaa', help: 'A.', type: 'gauge', values: [{ labels: {}, value: 7 }] },
      ],
    };
    const body = await render([new SeriesTable(), other]);
    assert.match(body, /^aaa 7$/m);
    assert.ok(body.indexOf('aaa 7') < body.indexOf('coredns_panics_total 0'));
    assert.match(body, /^process_cpu_seconds_total /m);
    assert.match(body, /^nodejs_version_info/m);
    assert.doesNotMatch(body, /nodejs_(active|eventloop)_/);
  });

  it('can be scraped again and again', async () => {
    const table = new SeriesTable();
    const [first, second] = await Promise.all([render([table]), render([table])]);
    table.counter('coredns_panics_total').value++;
    assert.match(first, /^coredns_panics_total 0$/m);
    assert.match(second, /^coredns_panics_total 0$/m);
    assert.match(await render([table]), /^coredns_panics_total 1$/m);
  });

  it('is clean for promtool, where that is installed', async (t) => {
    const table = new SeriesTable();
    touchEverySeries(table);
    const traffic = new TrafficTable();
    const query = queryFor('example.org.', 'A', { udpSizeBytes: 1232, dnssecOk: true });
    const row = traffic.row(query.server, '.', '');
    row.record(query, 0, 100, 'cache');
    row.recordDuration(1, 1);
    const body = await render([table, traffic], true);
    for (const name of Object.keys(SERIES)) assert.ok(body.includes(`\n# TYPE ${name} `), name);
    const check = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
    if (check.error !== undefined) return t.diagnostic('promtool is not installed');
    assert.equal(`${check.stdout}${check.stderr}`, '');
    assert.equal(check.status, 0);
  });
});
