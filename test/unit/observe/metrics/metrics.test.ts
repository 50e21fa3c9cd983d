import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InternalError } from '../../../../agent/base/errors.ts';
import { SeriesTable } from '../../../../agent/observe/metrics/metrics.ts';
import { familyOf as family } from '../../../support/metrics/families.ts';

describe('SeriesTable', () => {
  it('returns the same object for the same name and labels', () => {
    const table = new SeriesTable();
    const labels = { to: '10.0.0.1:53', transport: 'udp' };
    const counter = table.counter('nodens_upstream_queries_total', labels);
    counter.value++;
    table.counter('nodens_upstream_queries_total', { transport: 'udp', to: '10.0.0.1:53' }).value++;
    assert.equal(counter.value, 2);
    assert.deepEqual(family(table, 'nodens_upstream_queries_total')?.values, [
      { labels, value: 2 },
    ]);
  });

  it('separates series by every label value', () => {
    const table = new SeriesTable();
    table.counter('nodens_upstream_queries_total', { to: 'a', transport: 'udp' }).value = 1;
    table.counter('nodens_upstream_queries_total', { to: 'a', transport: 'tcp' }).value = 2;
    assert.deepEqual(
      family(table, 'nodens_upstream_queries_total')?.values.map(({ value }) => value),
      [1, 2],
    );
  });

  it('refuses unknown names, foreign labels and the wrong type', () => {
    const table = new SeriesTable();
    assert.throws(() => table.counter('nodens_typo_total'), InternalError);
    assert.throws(() => table.counter('nodens_cache_coalesced_total'), InternalError);
    assert.throws(() => table.counter('coredns_panics_total', { server: 'x' }), InternalError);
    assert.throws(
      () => table.counter('nodens_cache_coalesced_total', { servers: 'x' }),
      InternalError,
    );
    assert.throws(() => table.gauge('coredns_panics_total'), InternalError);
    assert.throws(() => table.counter('coredns_dns_requests_total'), InternalError);
  });

  it('reads computed gauges at each scrape, and the last function wins', () => {
    const table = new SeriesTable();
    let bytes = 10;
    table.gaugeFrom('nodens_cache_bytes', { store: 'answers' }, () => 1);
    table.gaugeFrom('nodens_cache_bytes', { store: 'answers' }, () => bytes);
    assert.equal(family(table, 'nodens_cache_bytes')?.values[0]?.value, 10);
    bytes = 20;
    assert.equal(family(table, 'nodens_cache_bytes')?.values[0]?.value, 20);
  });

  it('omits a dropped series', () => {
    const table = new SeriesTable();
    const labels = { hash: 'sha512', value: 'abc' };
    table.gauge('coredns_reload_version_info', labels).value = 1;
    assert.ok(family(table, 'coredns_reload_version_info'));
    table.drop('coredns_reload_version_info', labels);
    assert.equal(family(table, 'coredns_reload_version_info'), undefined);
  });

  it('shows zeros from the start where all label values are known', () => {
    const table = new SeriesTable();
    assert.deepEqual(family(table, 'coredns_panics_total')?.values, [{ labels: {}, value: 0 }]);
    assert.deepEqual(
      family(table, 'coredns_nodecache_setup_errors_total')?.values.map(
        ({ labels }) => labels.errortype,
      ),
      ['iptables', 'iptables_lock', 'interface_add', 'interface_check', 'configmap'],
    );
    assert.equal(family(table, 'nodens_config_valid'), undefined);
  });

  it('shows a counter with labels from its first event on, unless it starts at zero', () => {
    const table = new SeriesTable();
    const queries = table.counter('nodens_upstream_queries_total', { to: 'a', transport: 'udp' });
    table.counter('nodens_tcp_rejected_total', { listener: 'a' });
    const count = (name: string): number => family(table, name)?.values.length ?? 0;
    assert.equal(count('nodens_upstream_queries_total'), 0);
    assert.equal(count('nodens_tcp_rejected_total'), 1);
    queries.value++;
    assert.equal(count('nodens_upstream_queries_total'), 1);
  });

  it('cumulates histogram buckets, a bound being part of its bucket', () => {
    const table = new SeriesTable();
    const histogram = table.histogram('coredns_health_request_duration_seconds');
    for (const value of [0.0001, 0.00025, 0.001, 2.5, 99]) histogram.observe(value);
    const values = family(table, 'coredns_health_request_duration_seconds')?.values ?? [];
    const buckets = values.filter(({ metricName }) => metricName?.endsWith('_bucket'));
    assert.deepEqual(
      buckets.map(({ labels, value }) => [labels.le, value]),
      [
        ['0.00025', 2],
        ['0.0025', 3],
        ['0.025', 3],
        ['0.25', 3],
        ['2.5', 4],
        ['+Inf', 5],
      ],
    );
    assert.deepEqual(
      values.slice(-2).map(({ metricName, value }) => [metricName, Number(value.toFixed(5))]),
      [
        ['coredns_health_request_duration_seconds_sum', 101.50135],
        ['coredns_health_request_duration_seconds_count', 5],
      ],
    );
  });
});
