/** The overlay for Cilium: an ordinary pod, and the policy that brings queries to it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentOptions, parseFlags } from '../../../agent/cli/options.ts';
import { build, type Container, type PodSpec, podOf, type Resource } from './kustomize.ts';

const OVERLAYS = new URL('../../../manifests/overlays/', import.meta.url).pathname;

interface Port {
  readonly name: string;
  readonly protocol: string;
  readonly port?: string | number;
  readonly containerPort?: number;
}

interface PolicySpec {
  readonly redirectFrontend: {
    readonly serviceMatcher: { readonly serviceName: string; readonly namespace: string };
  };
  readonly redirectBackend: {
    readonly localEndpointSelector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly toPorts: readonly Port[];
  };
}

describe('the overlay cilium', () => {
  const resources = build(`${OVERLAYS}cilium`);
  const daemonSet = resources.find(({ kind }) => kind === 'DaemonSet') as Resource;
  const pod = podOf(daemonSet) as PodSpec;
  const [agent, ...others] = pod.containers as [Container, ...Container[]];

  it('has one container, in the network of the pod, without anything of the node', () => {
    assert.deepEqual([others, pod.initContainers, pod.hostNetwork], [[], undefined, undefined]);
    assert.deepEqual(
      pod.volumes.filter(({ hostPath }) => hostPath !== undefined),
      [],
    );
    assert.deepEqual(agent.securityContext.capabilities, {
      drop: ['ALL'],
      add: ['NET_BIND_SERVICE'],
    });
    const volumes = pod.volumes.map(({ name }) => name);
    assert.deepEqual(agent.volumeMounts?.map(({ name }) => name).sort(), volumes.toSorted());
    // The node's resolvers, as in the other overlays: with ClusterFirst they would be kube-dns, which is nodens here.
    assert.equal(pod.dnsPolicy, 'Default');
  });

  it('starts an agent that serves all addresses of the pod and waits for no init', () => {
    const [command, ...flags] = agent.args ?? [];
    assert.equal(command, 'agent');
    const { localIps, socketPath } = agentOptions(parseFlags(flags, 'agent').values);
    assert.deepEqual({ localIps, socketPath }, { localIps: ['0.0.0.0'], socketPath: undefined });
  });

  it('has a policy from the Service kube-dns to the named ports of these pods', () => {
    const policies = resources.filter(({ kind }) => kind === 'CiliumLocalRedirectPolicy');
    const [{ apiVersion, metadata, spec }] = policies as [Resource];
    assert.equal(apiVersion, 'cilium.io/v2');
    const { redirectFrontend, redirectBackend } = spec as unknown as PolicySpec;
    assert.deepEqual(redirectFrontend.serviceMatcher, {
      serviceName: 'kube-dns',
      namespace: metadata.namespace,
    });
    assert.equal(metadata.namespace, daemonSet.metadata.namespace);
    const { template } = daemonSet.spec as { template: { metadata: { labels: object } } };
    assert.deepEqual(redirectBackend.localEndpointSelector.matchLabels, template.metadata.labels);
    const named = (ports: readonly Port[]): string[] =>
      ports.map((one) => `${one.name} ${one.protocol} ${one.port ?? one.containerPort}`);
    assert.deepEqual(named(redirectBackend.toPorts), named(agent.ports as Port[]));
  });
});
