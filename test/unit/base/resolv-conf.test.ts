import assert from 'node:assert/strict';
import { it } from 'node:test';
import { clusterDomainOf, parseResolvConf } from '../../../agent/base/resolv-conf.ts';

it('reads name servers, search path and ndots', () => {
  const text = `# made by hand
domain old.test
nameserver 10.96.0.10
nameserver\tfd00::1%eth0 ; comment
nameserver 10.96.0.10
search default.svc.Cluster.Local. svc.Cluster.Local
options timeout:1 ndots:5 rotate
`;
  const conf = parseResolvConf(text.replaceAll('\n', '\r\n'));
  assert.deepEqual(conf, {
    nameserverLines: [
      { text: '10.96.0.10', line: 3 },
      { text: 'fd00::1%eth0', line: 4 },
      { text: '10.96.0.10', line: 5 },
    ],
    nameservers: ['10.96.0.10', 'fd00::1%eth0'],
    search: ['default.svc.Cluster.Local', 'svc.Cluster.Local'],
    ndots: 5,
  });
  assert.equal(clusterDomainOf(conf), 'cluster.local');
});

it('skips unknown lines', () => {
  const text =
    'nameserver\nnameserver ns.test\nnameserver 300.1.1.1\nsearch .\noptions ndots:x\n\0=\nsearch';
  assert.deepEqual(parseResolvConf(text), {
    nameserverLines: [
      { text: 'ns.test', line: 2 },
      { text: '300.1.1.1', line: 3 },
    ],
    ...{ nameservers: [], search: [], ndots: 1 },
  });
  assert.equal(parseResolvConf('options ndots:99').ndots, 15);
  assert.deepEqual(parseResolvConf('search a b\ndomain c.').search, ['c']);
});

it('finds no cluster domain where the file has none', () => {
  for (const search of ['corp.test', 'svc.', 'svc.$&', 'svcx.test'])
    assert.equal(clusterDomainOf(parseResolvConf(`search ${search}`)), undefined, search);
});
