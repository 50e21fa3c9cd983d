/** Question and answer, as the specification (Kubernetes DNS-Based Service Discovery 1.1.0) and CoreDNS have it: Services. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import {
  namespaceObject,
  serviceObject,
  sliceObject,
} from '../../../support/kubernetes/objects.ts';
import { askRecords, lineOf, OPTIONS, recordsOf } from './asking.ts';
import { OBJECTS, RECORDS, table } from './shop.ts';

describe('a Service with ClusterIPs', () => {
  table(`
    web.shop.svc A             = A 10.96.0.1
    web.shop.svc AAAA          = nodata
    web.shop.svc SRV           = SRV 0 50 80 web.shop.svc, SRV 0 50 443 web.shop.svc + A 10.96.0.1
    _http._tcp.web.shop.svc SRV = SRV 0 100 80 web.shop.svc + A 10.96.0.1
    _http._tcp.web.shop.svc A  = A 10.96.0.1
    http.tcp.web.shop.svc SRV  = SRV 0 100 80 web.shop.svc + A 10.96.0.1
    _http._udp.web.shop.svc SRV = nxdomain
    _ftp._tcp.web.shop.svc SRV = nxdomain
    _tcp.web.shop.svc SRV      = nodata
    _udp.web.shop.svc SRV      = nxdomain
    both.shop.svc A            = A 10.96.0.4
    both.shop.svc AAAA         = AAAA fd00::4
    both.shop.svc SRV          = SRV 0 50 80 both.shop.svc + A 10.96.0.4, AAAA fd00::4
    six.shop.svc A             = nodata
    six.shop.svc AAAA          = AAAA fd00::5
    plain.shop.svc SRV         = SRV 0 100 80 plain.shop.svc + A 10.96.0.2
    portless.shop.svc A        = A 10.96.0.3
    portless.shop.svc SRV      = nodata
    web.shop.svc TXT           = nodata
    web.shop.svc MX            = nodata
    web.shop.svc SOA           = nodata
    web.shop.svc ANY           = nodata
    10-0-1-1.web.shop.svc A    = A 10.0.1.1
    10-0-1-2.web.shop.svc A    = nxdomain
    nope.shop.svc A            = nxdomain
    nope.shop.svc AAAA         = nxdomain
    nope.shop.svc TXT          = nxdomain
    web.lost.svc A             = nxdomain
    web.nowhere.svc A          = nxdomain
    a._http._tcp.web.shop.svc SRV = nxdomain`);
});

describe('a headless Service', () => {
  const db = 'db.shop.svc';
  table(`
    ${db} A              = A 10.0.2.1, A 10.0.2.2, A 10.0.2.4, A 10.0.2.5
    ${db} AAAA           = AAAA fd00:2::1, AAAA fd00:2::
    db-0.${db} A         = A 10.0.2.1
    db-0.${db} AAAA      = AAAA fd00:2::1
    two.${db} A          = A 10.0.2.4, A 10.0.2.5
    10-0-2-2.${db} A     = A 10.0.2.2
    10-0-2-2.${db} AAAA  = nodata
    10-0-2-2.${db} TXT   = nodata
    fd00-2--0.${db} AAAA = AAAA fd00:2::
    fd00-2--.${db} AAAA  = nxdomain
    10-0-2-1.${db} A     = nxdomain
    10-0-2-3.${db} A     = nxdomain
    a.db-0.${db} A       = nxdomain
    db-0.web.shop.svc A  = nxdomain
    _tcp.${db} SRV       = nodata
    _pg._tcp.${db} SRV   = SRV 0 16 5432 db-0.${db}, SRV 0 16 5432 10-0-2-2.${db}, SRV 0 16 5432 two.${db}, SRV 0 16 5432 fd00-2--0.${db} + A 10.0.2.1, A 10.0.2.2, A 10.0.2.4, A 10.0.2.5, AAAA fd00:2::1, AAAA fd00:2::
    _xx._tcp.${db} SRV   = nxdomain
    unready.shop.svc A   = nxdomain
    _tcp.unready.shop.svc SRV = nxdomain
    early.shop.svc A     = A 10.0.4.1
    _gossip._udp.early.shop.svc SRV = SRV 0 100 7946 10-0-4-1.early.shop.svc + A 10.0.4.1
    bare.shop.svc A      = A 10.0.5.1
    10-0-5-1.bare.shop.svc A = A 10.0.5.1
    bare.shop.svc SRV    = nodata
    pods-0.pods.shop.svc A = nxdomain
    10-0-6-1.pods.shop.svc A = A 10.0.6.1`);
});

describe('endpoint_pod_names', () => {
  const records = recordsOf(OBJECTS, true);
  table(
    `
    pods-0.pods.shop.svc A   = A 10.0.6.1
    10-0-6-1.pods.shop.svc A = nxdomain
    10-0-6-2.pods.shop.svc A = A 10.0.6.2
    db-0.db.shop.svc A       = A 10.0.2.1
    1.6.0.10.in-addr.arpa. PTR = PTR pods-0.pods.shop.svc`,
    {},
    records,
  );
});

describe('a Service that is an alias', () => {
  table(`
    out.shop.svc A      = CNAME db.example.org ...
    out.shop.svc AAAA   = CNAME db.example.org ...
    out.shop.svc CNAME  = CNAME db.example.org
    out.shop.svc SRV    = nodata
    out.shop.svc TXT    = nodata
    a.out.shop.svc CNAME = nxdomain
    _http._tcp.out.shop.svc SRV = nxdomain
    in.shop.svc A       = CNAME web.shop.svc, A 10.96.0.1
    in.shop.svc CNAME   = CNAME web.shop.svc
    in6.shop.svc AAAA   = CNAME six.shop.svc, AAAA fd00::5
    twice.shop.svc A    = CNAME in.shop.svc, CNAME web.shop.svc, A 10.96.0.1
    self.shop.svc A     = nodata
    ping.shop.svc A     = nodata
    ip.shop.svc A       = nxdomain`);

  it('without records at its end has a SOA, so that it can be stored as NODATA', () => {
    for (const [name, type] of [
      ['gone.shop.svc', 'A'],
      ['in.shop.svc', 'AAAA'],
    ] as const) {
      const outcome = askRecords(RECORDS, name, type);
      assert.ok(outcome.kind === 'answer');
      const { answers, authorities } = decode(outcome.answer.wire);
      assert.deepEqual(
        answers?.map((each) => each.type),
        ['CNAME'],
      );
      assert.deepEqual(
        authorities?.map((each) => each.type),
        ['SOA'],
      );
    }
  });
});

describe('ttl', () => {
  it('is that of every record; of a SOA at most 300 s', () => {
    const ttlOf = (name: string): unknown => {
      const outcome = askRecords(RECORDS, name, 'A', { ttlSeconds: 3_600 });
      assert.ok(outcome.kind !== 'alias');
      const { answers, authorities } = decode(outcome.answer.wire);
      const [record] = [...(answers ?? []), ...(authorities ?? [])];
      return record !== undefined && 'ttl' in record ? record.ttl : undefined;
    };
    assert.deepEqual([ttlOf('web.shop.svc'), ttlOf('nope.shop.svc')], [3_600, 300]);
  });
});

describe('a large headless Service', () => {
  const endpoints = Array.from({ length: 3_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const slices = Array.from({ length: 30 }, (_, i) =>
    sliceObject(`shop/big-${i}`, 'big', endpoints.slice(100 * i, 100 * i + 100), ['http:80']),
  );
  const records = recordsOf([namespaceObject('shop'), serviceObject('shop/big'), ...slices]);

  it('writes each address in 16 bytes', () => {
    const outcome = askRecords(records, 'big.shop.svc', 'A');
    assert.ok(outcome.kind === 'answer');
    assert.equal(
      outcome.answer.length,
      12 + 'xbig.shop.svc.cluster.localx'.length + 4 + 3_000 * 16,
    );
    assert.equal(outcome.answer.ttlOffsets.length, 3_000);
  });

  it('gives as many SRV records as a message has room for', () => {
    const outcome = askRecords(records, '_http._tcp.big.shop.svc', 'SRV');
    assert.ok(outcome.kind === 'answer');
    const { answers = [] } = decode(outcome.answer.wire);
    assert.ok(answers.length > 1_000 && outcome.answer.length <= 65_535, String(answers.length));
    assert.ok(answers.every(({ type }) => type === 'SRV'));
  });
});

describe('RFC 8020', () => {
  it('holds: no name above one that exists is denied', () => {
    const names = [
      '_http._tcp.web.shop.svc',
      '_pg._tcp.db.shop.svc',
      'db-0.db.shop.svc',
      'ns.dns',
      '10-0-7-1.shop.pod',
      'dns-version',
      'http.tcp.web.shop.svc',
      'out.shop.svc',
    ];
    for (const name of names) {
      const labels = name.split('.');
      for (let i = 0; i < labels.length; i++) {
        const above = labels.slice(i).join('.');
        const found = lineOf(askRecords(RECORDS, above, 'TXT', { ...OPTIONS, pods: 'verified' }));
        assert.notEqual(found, 'nxdomain', above);
      }
    }
  });
});
