import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OLDER_NAMES, olderNames } from '../../../../agent/observe/metrics/legacy-names.ts';
import { SeriesTable } from '../../../../agent/observe/metrics/metrics.ts';
import { SERIES, type SeriesSpec } from '../../../../agent/observe/metrics/names.ts';
import { TrafficTable } from '../../../../agent/observe/metrics/request-metrics.ts';
import type { Family } from '../../../../agent/observe/metrics/samples.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { type ComputedFamily, computed } from '../../../support/metrics/families.ts';
import { render } from '../../../support/metrics/render.ts';

const upstream = (rcode: string, to = '10.0.0.1:53') => ({ proxy_name: 'forward', to, rcode });

function tableWithUpstreams(): SeriesTable {
  const table = new SeriesTable();
  const seconds = 'coredns_proxy_request_duration_seconds';
  for (const value of [0.0001, 0.003]) table.histogram(seconds, upstream('NOERROR')).observe(value);
  table.histogram(seconds, upstream('SERVFAIL')).observe(0.003);
  table.histogram(seconds, upstream('NOERROR', '10.0.0.2:53')).observe(9);
  return table;
}

function older(families: Iterable<Family>, name: string): ComputedFamily {
  const found = computed(olderNames(families)).find((family) => family.name === name);
  assert.ok(found, name);
  return found;
}

/** `{labels} value` of each sample called `metricName`. */
const lines = ({ values }: ComputedFamily, metricName: string): string[] =>
  values
    .filter((sample) => sample.metricName === metricName)
    .map(({ labels, value }) => `${JSON.stringify(labels)} ${value}`);

describe('older names', () => {
  it('count upstream requests and responses with the counts of their histogram', () => {
    const table = tableWithUpstreams();
    const requests = older(table.families(), 'coredns_forward_requests_total');
    assert.equal(requests.type, 'counter');
    assert.deepEqual(lines(requests, requests.name), [
      '{"to":"10.0.0.1:53"} 3',
      '{"to":"10.0.0.2:53"} 1',
    ]);
    const responses = older(table.families(), 'coredns_forward_responses_total');
    assert.deepEqual(lines(responses, responses.name), [
      '{"to":"10.0.0.1:53","rcode":"NOERROR"} 2',
      '{"to":"10.0.0.1:53","rcode":"SERVFAIL"} 1',
      '{"to":"10.0.0.2:53","rcode":"NOERROR"} 1',
    ]);
  });

  it('show a histogram with its buckets, sum and count', () => {
    const seconds = older(
      tableWithUpstreams().families(),
      'coredns_forward_request_duration_seconds',
    );
    assert.equal(seconds.type, 'histogram');
    const first = '{"to":"10.0.0.1:53","rcode":"NOERROR"';
    const buckets = lines(seconds, `${seconds.name}_bucket`);
    assert.equal(buckets.length, 3 * 17);
    assert.ok(buckets.includes(`${first},"le":"0.002"} 1`));
    assert.ok(buckets.includes(`${first},"le":"+Inf"} 2`));
    assert.ok(lines(seconds, `${seconds.name}_count`).includes(`${first}} 2`));
    assert.ok(lines(seconds, `${seconds.name}_sum`).includes(`${first}} 0.0031`));
  });

  it('add up series that differ only in a newer label', () => {
    const traffic = new TrafficTable();
    const row = traffic.row({ index: 0, label: 'dns://10.0.0.1:53' }, '.', '');
    for (const type of ['A', 'A', 'AAAA'] as const) {
      row.record(queryFor('example.org.', type), 0, 60, 'cache');
    }
    row.record(queryFor('example.org.', 'A'), 0, 60, 'forward');
    const route = '"server":"dns://10.0.0.1:53","zone":".","view":""';
    const requests = older(traffic.families(), 'coredns_dns_request_count_total');
    assert.deepEqual(lines(requests, requests.name), [`{${route},"proto":"udp","family":"1"} 4`]);
    const types = older(traffic.families(), 'coredns_dns_request_type_count_total');
    assert.deepEqual(lines(types, types.name), [
      `{${route},"type":"A"} 3`,
      `{${route},"type":"AAAA"} 1`,
    ]);
    const rcodes = older(traffic.families(), 'coredns_dns_response_rcode_count_total');
    assert.deepEqual(lines(rcodes, rcodes.name), [`{${route},"rcode":"NOERROR"} 4`]);
  });

  it('are scraped with the others where they are enabled and have values', async () => {
    const table = tableWithUpstreams();
    const text = await render([table], true);
    assert.match(text, /^coredns_forward_requests_total\{to="10.0.0.1:53"\} 3$/m);
    assert.match(text, /^coredns_panic_count_total 0$/m);
    assert.match(text, /^coredns_nodecache_setup_errors\{errortype="iptables"\} 0$/m);
    assert.doesNotMatch(text, /coredns_cache_size/);
  });

  it('are not on the page otherwise', async () => {
    const text = await render([tableWithUpstreams()]);
    for (const name of Object.keys(OLDER_NAMES)) assert.ok(!text.includes(`# TYPE ${name} `), name);
    assert.match(text, /^coredns_panics_total 0$/m);
  });

  it('have labels that the original series has', () => {
    for (const [name, { of, labels, counts }] of Object.entries(OLDER_NAMES)) {
      const spec: SeriesSpec = SERIES[of];
      assert.deepEqual(
        labels.filter((label) => !spec.labels.includes(label)),
        [],
        name,
      );
      assert.ok(!(name in SERIES), name);
      assert.equal(counts === true && spec.type !== 'histogram', false, name);
    }
  });
});
