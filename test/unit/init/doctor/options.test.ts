import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../../../../agent/base/errors.ts';
import { doctorOptionsFrom } from '../../../../init/doctor/options.ts';

describe('the command line of the doctor', () => {
  it('takes flags with one dash or two, and reads kube-dns from the environment', () => {
    const env = { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.11' };
    const options = doctorOptionsFrom(['-json', '--localip', 'FD00::10, 169.254.20.10'], env);
    assert.deepEqual(options, {
      ...{ localIps: ['fd00::10', '169.254.20.10'], port: 53, kubeDns: [] },
      ...{ kubeDnsUpstream: '10.96.0.11', metrics: '127.0.0.1:9253' },
      kubeDnsService: undefined,
      ...{ clusterIps: [], isDomainTold: false, knowsKubernetes: true },
      ...{
        clusterDomain: 'cluster.local',
        resolvConf: '/etc/resolv.conf',
        controlSocket: '/run/nodens/control.sock',
        withoutInit: false,
        isJson: true,
      },
    });
    assert.equal(doctorOptionsFrom(['--metrics', ':9353'], {}).metrics, '127.0.0.1:9353');
    const settings = { CLUSTER_DOMAIN: 'k8s.test.', KUBE_DNS_IPS: '10.96.0.10,fd00:96::a' };
    const reported = doctorOptionsFrom(['-without-kubernetes-service'], settings);
    assert.deepEqual(
      [
        reported.clusterDomain,
        reported.isDomainTold,
        reported.knowsKubernetes,
        reported.clusterIps,
      ],
      ['k8s.test', true, false, ['10.96.0.10', 'fd00:96::a']],
    );
    for (const bad of [
      ['--metrics', 'x'],
      ['--localip', 'x'],
      ['--port', '0'],
      ['--nope'],
      ['word'],
    ])
      assert.throws(() => doctorOptionsFrom(bad, {}), UsageError, bad.join(' '));
  });
});
