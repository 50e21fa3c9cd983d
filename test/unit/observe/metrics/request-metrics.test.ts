import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TrafficTable } from '../../../../agent/observe/metrics/request-metrics.ts';
import type { Sample } from '../../../../agent/observe/metrics/samples.ts';
import { Query } from '../../../../agent/query/query.ts';
import { computed, familyOf } from '../../../support/metrics/families.ts';

const V4 = { index: 0, label: 'dns://169.254.20.10:53' };
const V6 = { index: 1, label: 'dns://[fd00::10]:53' };

/** The properties of a received query that the metrics use. */
function query(type: number, transport: 'udp' | 'tcp' = 'udp', length = 40, dnssecOk = false) {
  const one = new Query();
  one.head.type = type;
  one.head.dnssecOk = dnssecOk;
  one.transport = transport;
  one.length = length;
  return one;
}

function valuesOf(table: TrafficTable, name: string): readonly Sample[] {
  return familyOf(table, name)?.values ?? [];
}

const common = { server: V4.label, zone: 'cluster.local.', view: '' };

describe('TrafficTable', () => {
  it('returns the same row for the same listener, zone and view', () => {
    const table = new TrafficTable();
    const row = table.row(V4, '.', '');
    assert.equal(table.row({ ...V4, index: 9 }, '.', ''), row);
    assert.notEqual(table.row(V6, '.', ''), row);
    assert.notEqual(table.row(V4, 'a.', ''), row);
    assert.notEqual(table.row(V4, '.', 'v'), row);
  });

  it('shows nothing before the first query', () => {
    const table = new TrafficTable();
    table.row(V4, '.', '');
    assert.deepEqual(computed(table.families()), []);
  });

  it('counts queries by protocol, family and type, with one series for uncommon types', () => {
    const table = new TrafficTable();
    const row = table.row(V4, 'cluster.local.', '');
    row.record(query(1), 0, 60, 'cache');
    row.record(query(1), 0, 60, 'cache');
    row.record(query(28, 'tcp'), 0, 60, 'cache');
    row.record(query(99), 0, 60, 'cache');
    row.record(query(257), 0, 60, 'cache');
    row.record(query(65_535), 0, 60, 'cache');
    table.row(V6, '.', 'v').record(query(255), 0, 60, 'cache');
    const family = '1';
    assert.deepEqual(valuesOf(table, 'coredns_dns_requests_total'), [
      { labels: { ...common, proto: 'udp', family, type: 'A' }, value: 2 },
      { labels: { ...common, proto: 'udp', family, type: 'other' }, value: 3 },
      { labels: { ...common, proto: 'tcp', family, type: 'AAAA' }, value: 1 },
      {
        labels: { server: V6.label, zone: '.', view: 'v', proto: 'udp', family: '2', type: 'ANY' },
        value: 1,
      },
    ]);
  });

  it('counts queries of a listener with sockets of both families by the family of the socket', () => {
    const every = { index: 2, label: 'dns://:53' };
    const table = new TrafficTable();
    const row = table.row(every, '.', '');
    for (const [family, transport] of [
      [4, 'udp'],
      [6, 'udp'],
      [6, 'tcp'],
      [6, 'udp'],
    ] as const)
      row.record(Object.assign(query(1, transport), { server: { ...every, family } }), 0, 60, '');
    const labels = { server: 'dns://:53', zone: '.', view: '', type: 'A' };
    assert.deepEqual(valuesOf(table, 'coredns_dns_requests_total'), [
      { labels: { ...labels, proto: 'udp', family: '1' }, value: 1 },
      { labels: { ...labels, proto: 'udp', family: '2' }, value: 2 },
      { labels: { ...labels, proto: 'tcp', family: '2' }, value: 1 },
    ]);
    assert.equal(valuesOf(table, 'coredns_dns_responses_total').length, 1);
  });

  it('counts responses by rcode and by the plugin that answered', () => {
    const table = new TrafficTable();
    const row = table.row(V4, 'cluster.local.', '');
    row.record(query(1), 0, 60, 'cache');
    row.record(query(1), 3, 60, 'forward');
    row.record(query(1), 3, 60, 'cache');
    row.record(query(1), 2, 60, '');
    row.record(query(1), 23, 60, '');
    row.record(query(1), 24, 60, '');
    row.record(query(1), 4095, 60, '');
    row.record(query(1), 0, 60, 'cache');
    const values = valuesOf(table, 'coredns_dns_responses_total');
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.plugin, labels.rcode, value]),
      [
        ['', 'SERVFAIL', 1],
        ['', 'BADCOOKIE', 1],
        ['', 'other', 2],
        ['cache', 'NOERROR', 2],
        ['cache', 'NXDOMAIN', 1],
        ['forward', 'NXDOMAIN', 1],
      ],
    );
    assert.deepEqual(Object.keys(values[0]?.labels ?? {}), [
      'server',
      'zone',
      'view',
      'rcode',
      'plugin',
    ]);
  });

  it('counts the DO bit', () => {
    const table = new TrafficTable();
    const row = table.row(V4, 'cluster.local.', '');
    row.record(query(1), 0, 60, 'cache');
    assert.deepEqual(valuesOf(table, 'coredns_dns_do_requests_total'), []);
    row.record(query(1, 'udp', 40, true), 0, 60, 'cache');
    assert.deepEqual(valuesOf(table, 'coredns_dns_do_requests_total'), [
      { labels: common, value: 1 },
    ]);
  });

  it('measures sizes per protocol and time in seconds', () => {
    const table = new TrafficTable();
    const row = table.row(V4, 'cluster.local.', '');
    row.record(query(1, 'udp', 100), 0, 511, 'cache');
    row.recordDuration(0.25, 1);
    row.record(query(1, 'udp', 101), 0, 512, 'cache');
    row.recordDuration(9_000, 1);
    row.recordDuration(1, 3);
    const at = (name: string, le: string): number | undefined =>
      valuesOf(table, name).find(({ labels }) => labels.le === le)?.value;
    assert.equal(at('coredns_dns_request_size_bytes', '100'), 1);
    assert.equal(at('coredns_dns_request_size_bytes', '200'), 2);
    assert.equal(at('coredns_dns_response_size_bytes', '511'), 1);
    assert.equal(at('coredns_dns_response_size_bytes', '64000'), 2);
    assert.equal(at('coredns_dns_request_duration_seconds', '0.00025'), 1);
    assert.equal(at('coredns_dns_request_duration_seconds', '8.192'), 4);
    assert.equal(at('coredns_dns_request_duration_seconds', '+Inf'), 5);
    const sizes = valuesOf(table, 'coredns_dns_response_size_bytes');
    assert.ok(sizes.every(({ labels }) => labels.proto === 'udp'));
    assert.equal(sizes.at(-2)?.value, 1_023);
  });

  it('records without allocating', () => {
    const row = new TrafficTable().row(V4, '.', '');
    const one = query(1);
    const burst = (times: number): void => {
      for (let i = 0; i < times; i++) {
        row.record(one, i & 3, 100 + i, i & 1 ? 'a' : 'b');
        row.recordDuration(i / 7, 1);
      }
    };
    const perRecord = Array.from({ length: 40 }, () => {
      const before = process.memoryUsage().heapUsed;
      burst(20_000);
      return (process.memoryUsage().heapUsed - before) / 20_000;
    });
    // Doubles are objects until V8 has compiled the code, which takes longer on a busy machine.
    // One object a call would be 16 bytes at the least; compiled code and a collection may blur a burst or two.
    const least = perRecord.map(Math.abs).sort((a, b) => a - b)[0] as number;
    assert.ok(least < 1, `${perRecord} bytes per record`);
  });
});
