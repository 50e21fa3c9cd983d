import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clusterDomain, clusterIp } from '../../../../init/doctor/checks-upstreams.ts';
import type { ClusterTold, Facts, Reply } from '../../../../init/doctor/facts.ts';
import { clusterIpFault } from '../../../../init/plan/fallback.ts';

const TOLD: ClusterTold = {
  ...{ domain: 'k8s.test', isDomainTold: true, knowsKubernetes: true },
  ...{ clusterIps: ['10.96.0.10'], kubeDnsService: '10.96.0.10' },
};
const good: Reply = { rcode: 0, text: undefined, ms: 1 };
const nxdomain: Reply = { ...good, rcode: 3 };
const failed: Reply = { ...good, rcode: 2 };

const upstreams = (udp: Reply, tcp: Reply): Facts['upstreams'] =>
  (['udp', 'tcp'] as const).map((transport) => ({
    ...{ server: '10.96.0.11', role: 'kube-dns', transport },
    reply: transport === 'udp' ? udp : tcp,
  }));

describe('the check of the cluster domain', () => {
  for (const [what, verdict, message, replies, reported] of [
    ['known', 'ok', /^k8s\.test: kube-dns knows/, [good, good], {}],
    [
      'denied',
      'fail',
      /^NXDOMAIN for kubernetes\.default\.svc\.k8s\.test/,
      [nxdomain, nxdomain],
      {},
    ],
    ['denied over TCP', 'fail', /from 10\.96\.0\.11\/tcp$/, [good, nxdomain], {}],
    ['denied, and a default', 'warn', /^NXDOMAIN/, [nxdomain, nxdomain], { isDomainTold: false }],
    ['not asked', 'ok', /not asked/, [nxdomain, nxdomain], { knowsKubernetes: false }],
    ['failing', 'unseen', /did not answer/, [failed, { error: 'timeout' }], {}],
  ] as const) {
    it(`${what}: ${verdict}`, () => {
      const [udp, tcp] = replies;
      const cluster = { ...TOLD, ...reported };
      const found = clusterDomain({ cluster, upstreams: upstreams(udp, tcp) });
      assert.equal(found.verdict, verdict, found.message);
      assert.match(found.message, message);
      assert.equal(found.remedy === undefined, verdict === 'ok');
    });
  }
});

describe('the ClusterIP of kube-dns', () => {
  const both = ['169.254.20.10', '10.96.0.10'];
  for (const [what, localIps, asked, serviceHost, fault] of [
    ['right', both, ['10.96.0.10'], '10.96.0.10', undefined],
    ['wrong', both, ['10.96.0.10'], '10.96.0.99', /^10\.96\.0\.10 is to be .* has 10\.96\.0\.99$/],
    ['wrong, by the local IPs of a drop-in', both, [], '10.96.0.99', /^10\.96\.0\.10 is to be/],
    [
      'wrong, with IPVS',
      ['169.254.20.10'],
      ['10.96.0.10'],
      '10.96.0.99',
      /^10\.96\.0\.10 is to be/,
    ],
    ['not compared without the environment variable', both, ['10.96.0.10'], undefined, undefined],
    ['not compared with a Service without an address', both, ['10.96.0.10'], 'None', undefined],
    ['not compared with one of the other family', both, ['10.96.0.10'], 'fd00:96::a', undefined],
    ['the same in another notation', ['fe80::1'], ['fd00:96::a'], 'FD00:96:0::A', undefined],
    ['not configured', ['169.254.20.10'], [], '10.96.0.10', undefined],
    [
      'not compared with a local IP that may be another address',
      ['10.9.9.9'],
      [],
      '10.96.0.10',
      undefined,
    ],
  ] as const) {
    it(`is ${what}`, () => {
      const found = clusterIpFault({ localIps, asked, serviceHost });
      if (fault === undefined) assert.equal(found, undefined);
      else assert.match(found ?? '', fault);
    });
  }

  it('has a line, which is a warning if it is wrong', () => {
    const line = (reported: Partial<ClusterTold>) =>
      clusterIp({ localIps: both, cluster: { ...TOLD, ...reported } });
    assert.deepEqual(line({}), { id: 'cluster-ip', verdict: 'ok', message: '10.96.0.10' });
    assert.equal(line({ kubeDnsService: undefined }).verdict, 'ok');
    const wrong = line({ kubeDnsService: '10.96.0.99' });
    assert.equal(wrong.verdict, 'warn');
    assert.match(wrong.remedy ?? '', /KUBE_DNS_IPS/);
  });
});
