import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Line } from '../../../../agent/config/corefile/types.ts';
import { nameToText } from '../../../../agent/dns/name.ts';
import {
  type KubernetesOptions,
  readKubernetes,
} from '../../../../agent/plugins/kubernetes/options.ts';
import { setup } from '../../../../agent/plugins/kubernetes/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { fakeServices } from '../../../support/services.ts';

function read(text: string, keys = 'cluster.local'): KubernetesOptions {
  const { directive, block } = parseDirective(text, keys);
  return readKubernetes(directive.uses[0] as Line, block);
}

const withOptions = (lines: string): KubernetesOptions => read(`kubernetes {\n${lines}\n}`);

describe('options of kubernetes', () => {
  it("have CoreDNS's defaults", () => {
    const options = read('kubernetes');
    const { access, zones, primary, ...rest } = options;
    assert.deepEqual(
      zones.map(({ name }) => nameToText(name)),
      ['cluster.local.'],
    );
    assert.equal(nameToText(primary.name), 'cluster.local.');
    assert.deepEqual(access, { place: { file: '/etc/Corefile', line: 2 } });
    assert.deepEqual(rest, {
      namespaces: [],
      labels: '',
      namespaceLabels: '',
      pods: 'disabled',
      usesPodNames: false,
      ttlSeconds: 5,
      hasEndpoints: true,
      ignoresEmpty: false,
      prefersZone: false,
      fallthrough: [],
      startupMs: 5_000,
      maxAgeMs: 180_000,
      isAwaited: false,
    });
  });

  it('are all read', () => {
    const options = read(
      `kubernetes in-addr.arpa Cluster.Local 10.96.0.0/12 {
        endpoint https://192.0.2.1:6443
        tls /cert /key /ca
        kubeconfig /config prod
        apiserver_qps 20
        apiserver_burst 40
        namespaces shop default
        namespaces kube-system
        labels app in (web, api),tier!=back
        pods verified
        endpoint_pod_names
        ttl 30
        fallthrough in-addr.arpa
        ignore empty_service
        startup_timeout 1s
        max_age 5m
        ready
        topology prefer
      }`,
    );
    assert.equal(nameToText(options.primary.name), 'cluster.local.');
    assert.deepEqual(options.zones.map(({ isReverse }) => isReverse).slice(0, 3), [
      true,
      false,
      true,
    ]);
    assert.deepEqual(options.namespaces, ['shop', 'default', 'kube-system']);
    assert.equal(options.labels, 'app in (web, api),tier!=back');
    assert.deepEqual(options.fallthrough.map(nameToText), ['in-addr.arpa.']);
    const { pods, usesPodNames, ttlSeconds, ignoresEmpty, startupMs, maxAgeMs, isAwaited } =
      options;
    assert.deepEqual(
      { pods, usesPodNames, ttlSeconds, ignoresEmpty, startupMs, maxAgeMs, isAwaited },
      {
        pods: 'verified',
        usesPodNames: true,
        ttlSeconds: 30,
        ignoresEmpty: true,
        startupMs: 1_000,
        maxAgeMs: 300_000,
        isAwaited: true,
      },
    );
    assert.equal(options.prefersZone, true);
    const { endpoint, tls, kubeconfig, requestsPerSecond, burst } = options.access;
    assert.deepEqual(
      [endpoint?.text, tls?.ca.text, kubeconfig?.path.text, kubeconfig?.context?.text],
      ['https://192.0.2.1:6443', '/ca', '/config', 'prod'],
    );
    assert.deepEqual([requestsPerSecond, burst], [20, 40]);
  });

  it('take every label selector of Kubernetes', () => {
    for (const text of [
      'app',
      '!app',
      'app=web',
      'app==web',
      'app!=web',
      'app=',
      'a.example.org/app=web,!b',
      'app in (a)',
      'app notin (a,b), c',
      'istio-injection=enabled',
    ])
      assert.equal(withOptions(`namespace_labels ${text}`).namespaceLabels, text);
  });

  const refused = (lines: string, expected: RegExp | string): void => {
    it(`are refused: ${lines}`, () => {
      const error = { name: 'ConfigError', message: expected };
      assert.throws(() => withOptions(lines), error);
    });
  };
  for (const text of ['app in a', '=web', 'app=a b', 'app in (a', 'app=web,', 'app>5', '-app'])
    refused(`labels ${text}`, /^\/etc\/Corefile:3: ".*" is not a label selector like/);
  refused(
    'multicluster clusterset.local',
    /:3: kubernetes option multicluster is not supported: ServiceImports/,
  );
  refused(
    'zonal',
    /:3: kubernetes option zonal is not supported: topology prefer is what nodens has/,
  );
  refused('pods maybe', /:3: unknown "maybe"/);
  refused('ttl 3601', /:3: "3601" is too much: at most 3600/);
  refused('ttl', /:3: ttl needs one argument/);
  refused('ignore all', /:3: unknown "all": /);
  refused('namespaces', /:3: namespaces needs/);
  refused('namespaces Shop', /:3: "Shop" is not the name of a namespace/);
  refused('max_age 1s', /:3: "1s" is too little: at least 15s/);
  refused('noendpoints yes', /:3: noendpoints takes no argument/);
  refused('endpoint kube', /:3: "kube" is not the URL/);
  refused('resyncperiod 5m', /:3: unknown option "resyncperiod" of kubernetes/);
  refused(
    'namespaces a\nnamespace_labels b',
    /:2: namespaces and namespace_labels exclude each other/,
  );
  refused('noendpoints\nignore empty_service', /:2: ignore empty_service needs endpoints/);

  refused('topology zone', /:3: unknown "zone"/);
  refused('noendpoints\ntopology prefer', /:2: topology needs endpoints/);

  it('need the name of the node for its zone', () => {
    const services = fakeServices();
    services.kubernetes.nodeName = undefined;
    assert.throws(() => setUp(setup, 'kubernetes a.test {\ntopology prefer\n}', services), {
      name: 'ConfigError',
      message: /:2: NODE_NAME is unset/,
    });
  });

  it('need a zone that Services are in', () => {
    assert.throws(() => read('kubernetes', 'in-addr.arpa ip6.arpa'), {
      name: 'ConfigError',
      message: /kubernetes cluster\.local in-addr\.arpa\. ip6\.arpa\.$/,
    });
  });

  it('may be given once in a server block', () => {
    assert.throws(() => setUp(setup, 'kubernetes a.test\nkubernetes b.test'), {
      name: 'ConfigError',
      message: /^\/etc\/Corefile:3: kubernetes is allowed once/,
    });
  });
});
