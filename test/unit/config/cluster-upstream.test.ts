import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clusterDomainsOf } from '../../../agent/config/cluster-upstream.ts';
import { parseText } from '../../support/corefiles/parse.ts';

const ENV = {
  KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.11',
  KUBE_DNS_SERVICE_HOST: '10.96.0.10',
  OTHER_SERVICE_HOST: 'fd00:96:0::b',
};
const domainsOf = (corefile: string, service = 'kube-dns-upstream') =>
  clusterDomainsOf(parseText(corefile), ENV, service);
const block = (keys: string, forward: string) => `${keys} {\nforward ${forward}\n}\n`;

describe('the domains of the cluster', () => {
  for (const [what, corefile, expected] of [
    ['the zone that kube-dns is asked for', block('k8s.test:53', '. 10.96.0.11'), ['k8s.test.']],
    ['by whichever Service', block('k8s.test', '. 10.96.0.10:53'), ['k8s.test.']],
    ['two zones of a block', block('a.test b.test', '. 10.96.0.11'), ['a.test.', 'b.test.']],
    ['one of two upstreams', block('a.test', '. 10.96.0.9 10.96.0.11'), ['a.test.']],
    ['what the forward takes of the root', block('.', 'A.test 10.96.0.11'), ['a.test.']],
    ['the domain of Services', block('svc.a.test pod.a.test', '. 10.96.0.11'), ['a.test.']],
    ['none of one namespace', block('web.svc.a.test', '. 10.96.0.11'), []],
    ['not what lies below another', block('a.test b.a.test', '. 10.96.0.11'), ['a.test.']],
    [
      'no root, no reverse zone',
      block('. in-addr.arpa 10.in-addr.arpa ip6.arpa', '. 10.96.0.11'),
      [],
    ],
    ['not what other servers are asked for', block('a.test', '. 192.0.2.1'), []],
    ['not what servers that have a name are asked for', block('a.test', '. tls://10.96.0.11'), []],
    ['nothing where nothing is forwarded', 'a.test {\nwhoami\n}\n', []],
  ] as const) {
    it(what, () => assert.deepEqual(domainsOf(corefile), expected));
  }

  it('is told by the Service of the command line, however its address is written', () => {
    const corefile = block('a.test', '. [fd00:96::b]:53');
    assert.deepEqual(domainsOf(corefile), []);
    assert.deepEqual(domainsOf(corefile, 'other'), ['a.test.']);
  });
});
