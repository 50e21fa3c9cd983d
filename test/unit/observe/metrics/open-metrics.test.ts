import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { systemClock } from '../../../../agent/base/clock.ts';
import { PacedWork } from '../../../../agent/base/paced-work.ts';
import { Exposition } from '../../../../agent/observe/metrics/exposition.ts';
import { OLDER_NAMES } from '../../../../agent/observe/metrics/legacy-names.ts';
import { SeriesTable } from '../../../../agent/observe/metrics/metrics.ts';
import {
  COUNTED_SERIES,
  SERIES,
  type SeriesSpec,
} from '../../../../agent/observe/metrics/names.ts';
import { TrafficTable } from '../../../../agent/observe/metrics/request-metrics.ts';
import type { Source } from '../../../../agent/observe/metrics/samples.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { parseOpenMetrics } from '../../../support/metrics/open-metrics.ts';
import { parsePage } from '../../../support/metrics/page.ts';
import { render } from '../../../support/metrics/render.ts';

const DURATIONS = 'coredns_dns_request_duration_seconds';
const TRACE_ID = '0123456789abcdef0123456789abcdef';

async function renderOpen(sources: readonly Source[], isOlder = false): Promise<string> {
  const exposition = new Exposition(sources, new PacedWork(systemClock));
  const { contentType, body } = await exposition.renderOpenMetrics(isOlder);
  assert.equal(contentType, Registry.OPENMETRICS_CONTENT_TYPE);
  return Buffer.concat([...body]).toString();
}

/** Every series of the tables, with odd label values and several series of each histogram. */
function everything(): Source[] {
  const table = new SeriesTable();
  for (const [name, spec] of Object.entries<SeriesSpec>(COUNTED_SERIES)) {
    for (const value of ['x', 'a"b\\c\nd']) {
      const labels = Object.fromEntries(spec.labels.map((label) => [label, value]));
      if (spec.type === 'counter') table.counter(name, labels).value++;
      else if (spec.type === 'gauge') table.gauge(name, labels).value = 1.5;
      else for (const seconds of [1e-7, 0.01, 1e9]) table.histogram(name, labels).observe(seconds);
    }
  }
  const traffic = new TrafficTable();
  const query = queryFor('example.org.', 'A', { udpSizeBytes: 1232, dnssecOk: true });
  for (const zone of ['.', 'cluster.local.']) {
    const row = traffic.row(query.server, zone, '');
    row.record(query, 0, 100, 'cache');
    row.recordDuration(1, 1);
  }
  return [table, traffic];
}

describe('the page as OpenMetrics', () => {
  it('is valid with every series there is, and with their older names', async () => {
    const families = parseOpenMetrics(await renderOpen(everything(), true));
    const names = [...Object.keys(SERIES), ...Object.keys(OLDER_NAMES)].filter(
      // A counter has this name on the page.
      (name) => name !== 'coredns_nodecache_setup_errors',
    );
    for (const name of names) {
      const { type } = { ...SERIES, ...OLDER_NAMES }[name] as { type?: string };
      const family = type === undefined || type === 'counter' ? name.replace(/_total$/, '') : name;
      assert.ok(families.has(family), name);
    }
    assert.equal(families.get(DURATIONS)?.unit, 'seconds');
    assert.equal(families.get('process_cpu_seconds')?.type, 'counter');
    assert.equal(families.get('nodens_cache_bytes')?.unit, 'bytes');
  });

  it('has the samples of the other page, apart from how bounds are written', async () => {
    const sources = everything();
    const samplesOf = (families: ReadonlyMap<string, { samples: readonly object[] }>): string[] =>
      [...families.values()].flatMap(({ samples }) =>
        (samples as { name: string; labels: Record<string, string>; value: number }[])
          .filter(({ name }) => !/^(process|nodejs)_/.test(name))
          .map(({ name, labels: { le, ...labels }, value }) =>
            [name, JSON.stringify(labels), Number(le?.replace('Inf', 'Infinity')), value].join(' '),
          ),
      );
    // The parser of the other page reads no escapes.
    const plain = (text: string): string => text.replaceAll('a\\"b\\\\c\\nd', 'odd');
    const open = samplesOf(parseOpenMetrics(plain(await renderOpen(sources))));
    assert.ok(open.length > 400, `${open.length} samples`);
    assert.deepEqual(open, samplesOf(parsePage(plain(await render(sources)))));
  });

  it('names the trace of a query in the bucket that counts its duration', async () => {
    const traffic = new TrafficTable();
    const query = queryFor('example.org.', 'A');
    const row = traffic.row(query.server, '.', '');
    row.recordDuration(0.1, 5);
    for (const [durationMs, traceId] of [
      [3, 'a'.repeat(32)],
      [3.25, TRACE_ID],
      [60_000, 'b'.repeat(32)],
    ] as const) {
      const traced = row.traced(traceId, 1_700_000_000_000);
      traced.record(query, 0, 100, 'forward');
      traced.recordDuration(durationMs, 1);
    }
    const text = await renderOpen([traffic]);
    const found = (parseOpenMetrics(text).get(DURATIONS)?.samples ?? []).flatMap(
      ({ labels, exemplar }) => (exemplar === undefined ? [] : [{ le: labels.le, ...exemplar }]),
    );
    assert.deepEqual(found, [
      { le: '0.004', traceId: TRACE_ID, value: 0.00325, at: 1_700_000_000.003 },
      { le: '+Inf', traceId: 'b'.repeat(32), value: 60, at: 1_700_000_060 },
    ]);
    assert.match(text, /^coredns_dns_requests_total\{.*\} 3$/m, 'a traced query counts once');
    assert.doesNotMatch(await render([traffic]), /trace_id/);
  });
});

describe('the reader of OpenMetrics', () => {
  const good =
    '# UNIT a_seconds seconds\n# TYPE a_seconds histogram\na_seconds_bucket{le="0.5"} 1 # {trace_id="f"} 0.5 1.5\n' +
    'a_seconds_bucket{le="+Inf"} 1\na_seconds_sum 0.5\na_seconds_count 1\n# TYPE b counter\nb_total 1\n# EOF\n';

  it('accepts a good page', () => {
    assert.equal(parseOpenMetrics(good).size, 2);
  });

  for (const [what, from, to] of [
    ['no end', '# EOF\n', ''],
    ['an empty line', '# TYPE b', '\n# TYPE b'],
    ['a counter without _total', 'b_total', 'b'],
    ['a family with _total', '# TYPE b ', '# TYPE b_total '],
    ['another unit', 'a_seconds seconds', 'a_seconds bytes'],
    ['a bound without a point', '0.5"', '1"'],
    ['an exemplar beyond its bucket', '"f"} 0.5', '"f"} 0.6'],
    ['an exemplar of a sum', 'a_seconds_sum 0.5', 'a_seconds_sum 0.5 # {trace_id="f"} 0.5 1.5'],
    ['a count that is not of all', 'count 1', 'count 2'],
    ['a family twice', '# EOF', '# TYPE a_seconds gauge\na_seconds 1\n# EOF'],
    ['a series twice', 'b_total 1', 'b_total 1\nb_total 1'],
    ['two meanings of a name', '# EOF', '# TYPE b_total gauge\nb_total 1\n# EOF'],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.notEqual(good.replace(from, to), good);
      assert.throws(() => parseOpenMetrics(good.replace(from, to)), Error);
    });
  }
});
