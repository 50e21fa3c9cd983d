/** Question and answer, as the specification (Kubernetes DNS-Based Service Discovery 1.1.0) and CoreDNS have it: all names but those of Services. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf } from '../../../../agent/plugins/kubernetes/objects.ts';
import {
  namespaceObject,
  serviceObject,
  sliceObject,
} from '../../../support/kubernetes/objects.ts';
import { askRecords, lineOf, recordsOf, SERIAL } from './asking.ts';
import { table } from './shop.ts';

describe('names between the zone and the Services', () => {
  table(`
    @ SOA              = SOA ns.dns hostmaster ${SERIAL} 7200 1800 86400 5
    @ NS               = NS ns.dns + A 169.254.20.10
    @ A                = nodata
    @ TXT              = nodata
    @ SRV              = nodata
    ns.dns A           = A 169.254.20.10
    ns.dns AAAA        = nodata
    dns A              = nodata
    a.ns.dns A         = nxdomain
    svc A              = nodata
    svc NS             = nodata
    pod A              = nodata
    shop.svc A         = nodata
    shop.svc TXT       = nodata
    empty.svc A        = nodata
    lost.svc A         = nxdomain
    foo A              = nxdomain
    foo NS             = nxdomain
    foo.svc NS         = nxdomain
    dns-version TXT    = TXT 1.1.0
    dns-version A      = nodata
    a.dns-version TXT  = nxdomain
    *.shop.svc A       = nxdomain
    web.*.svc A        = nxdomain
    _._tcp.web.shop.svc SRV = nxdomain`);
});

describe('the servers of the zone, where the agent has the ClusterIP of the DNS Service', () => {
  const own = ['169.254.20.10', '10.96.0.10', '10.96.0.1'].map((text) => bytesOf(text) as string);
  table(
    `
    @ NS     = NS kube-dns.kube-system.svc + A 10.96.0.10
    ns.dns A = A 10.96.0.10`,
    { ownAddresses: () => own },
  );
});

describe('names of addresses', () => {
  table(`
    1.0.96.10.in-addr.arpa. PTR  = PTR web.shop.svc
    1.0.96.10.in-addr.arpa. A    = nodata
    1.2.0.10.in-addr.arpa. PTR   = PTR db-0.db.shop.svc
    2.2.0.10.in-addr.arpa. PTR   = PTR 10-0-2-2.db.shop.svc
    3.2.0.10.in-addr.arpa. PTR   = nxdomain
    1.4.0.10.in-addr.arpa. PTR   = PTR 10-0-4-1.early.shop.svc
    99.0.96.10.in-addr.arpa. PTR = nxdomain
    9.9.9.9.in-addr.arpa. PTR    = nxdomain
    10.in-addr.arpa. PTR         = nodata
    a.10.in-addr.arpa. PTR       = nxdomain
    5.1.2.0.10.in-addr.arpa. PTR = nxdomain
    d.f.ip6.arpa. PTR            = nodata
    g.f.ip6.arpa. PTR            = nxdomain
    in-addr.arpa. SOA            = SOA ns.dns.in-addr.arpa hostmaster.in-addr.arpa ${SERIAL} 7200 1800 86400 5
    web.shop.svc PTR             = nodata
    nope.shop.svc PTR            = nxdomain
    4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR = PTR both.shop.svc
    1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.0.d.f.ip6.arpa. PTR = PTR db-0.db.shop.svc`);

  it('has a name for each Service that an endpoint belongs to', () => {
    const records = recordsOf([
      namespaceObject('shop'),
      serviceObject('shop/a'),
      sliceObject('shop/a-1', 'a', ['10.0.0.1']),
      serviceObject('shop/b'),
      sliceObject('shop/b-1', 'b', ['x=10.0.0.1']),
    ]);
    const found = lineOf(askRecords(records, '1.0.0.10.in-addr.arpa.', 'PTR'));
    assert.equal(found, 'PTR 10-0-0-1.a.shop.svc, PTR x.b.shop.svc');
  });
});

describe('names of pods, disabled', () => {
  table(`
    10-0-7-1.shop.pod A = nxdomain
    shop.pod A          = nxdomain`);
});

describe('names of pods, insecure', () => {
  table(
    `
    shop.pod A            = nodata
    nowhere.pod A         = nxdomain
    10-9-9-9.shop.pod A   = A 10.9.9.9
    10-9-9-9.shop.pod AAAA = nodata
    10-9-9-9.lost.pod A   = nxdomain
    10-9-9-999.shop.pod A = nxdomain
    fd00--1.shop.pod AAAA = AAAA fd00::1
    web-0.shop.pod A      = nxdomain
    a.10-9-9-9.shop.pod A = nxdomain`,
    { pods: 'insecure' },
  );
});

describe('names of pods, verified', () => {
  table(
    `
    10-0-7-1.shop.pod A      = A 10.0.7.1
    fd00-7--1.shop.pod AAAA  = AAAA fd00:7::1
    10-0-7-1.empty.pod A     = nxdomain
    10-9-9-9.shop.pod A      = nxdomain
    shop.pod A               = nodata`,
    { pods: 'verified' },
  );
});

describe('ignore empty_service', () => {
  table(
    `
    web.shop.svc A        = A 10.96.0.1
    plain.shop.svc A      = nxdomain
    _tcp.both.shop.svc A  = nxdomain
    db.shop.svc A         = A 10.0.2.1, A 10.0.2.2, A 10.0.2.4, A 10.0.2.5
    out.shop.svc CNAME    = CNAME db.example.org`,
    { ignoresEmpty: true },
  );
});

describe('noendpoints', () => {
  table(
    `
    web.shop.svc A        = A 10.96.0.1
    10-0-1-1.web.shop.svc A = nxdomain
    db.shop.svc A         = nxdomain`,
    { hasEndpoints: false },
  );
});
