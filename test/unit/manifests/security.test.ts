import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import {
  build,
  type Container,
  containersOf,
  type PodSpec,
  podOf,
  type Resource,
} from './kustomize.ts';

const OVERLAYS = new URL('../../../manifests/overlays/', import.meta.url).pathname;
const UNPRIVILEGED_ID = 65_532;
const STATE_DIR = '/var/lib/nodens';

const daemonSetOf = (overlay: string): Resource =>
  build(`${OVERLAYS}${overlay}`).find((r) => r.kind === 'DaemonSet') as Resource;

for (const overlay of ['iptables-nftables', 'ipvs', 'cleanup']) {
  const daemonSet = daemonSetOf(overlay);
  const pod = podOf(daemonSet) as PodSpec;
  const containers = containersOf(daemonSet);
  /** Removing the folder needs write access to its parent: a mount point itself cannot be removed. */
  const stateVolume =
    overlay === 'cleanup'
      ? { 'var-lib': { path: dirname(STATE_DIR), type: 'Directory' } }
      : { state: { path: STATE_DIR, type: 'DirectoryOrCreate' } };

  test(`${overlay}: no container can gain privileges, write to its root file system or run without seccomp`, () => {
    assert.equal(pod.securityContext?.seccompProfile?.type, 'RuntimeDefault');
    for (const { securityContext } of containers) {
      assert.equal(securityContext.privileged ?? false, false);
      assert.equal(securityContext.allowPrivilegeEscalation, false);
      assert.equal(securityContext.readOnlyRootFilesystem, true);
      assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
    }
  });

  test(`${overlay}: only the container that sets up the network is root, with what nft and legacy iptables need`, () => {
    for (const container of pod.initContainers ?? []) {
      assert.equal(container.securityContext.runAsUser, 0);
      assert.deepEqual(container.securityContext.capabilities.add, ['NET_ADMIN', 'NET_RAW']);
    }
    for (const container of pod.containers) {
      assert.equal(container.securityContext.runAsNonRoot, true);
      assert.equal(container.securityContext.runAsUser, UNPRIVILEGED_ID);
      assert.deepEqual(
        container.securityContext.capabilities.add,
        container.name === 'agent' ? ['NET_BIND_SERVICE'] : undefined,
      );
    }
  });

  test(`${overlay}: host paths are the lock file, for the privileged container only, and the snapshot's folder`, () => {
    const hostPaths = pod.volumes.filter((volume) => volume.hostPath !== undefined);
    assert.deepEqual(Object.fromEntries(hostPaths.map(({ name, hostPath }) => [name, hostPath])), {
      'xtables-lock': { path: '/run/xtables.lock', type: 'FileOrCreate' },
      ...stateVolume,
    });
    const mounts = (container: Container, volume: string): boolean =>
      container.volumeMounts?.some((mount) => mount.name === volume) ?? false;
    for (const container of pod.initContainers ?? []) {
      for (const volume of ['xtables-lock', ...Object.keys(stateVolume)])
        assert.ok(mounts(container, volume), volume);
      assert.ok(container.args?.includes(`--statedir=${STATE_DIR}`));
    }
    for (const container of pod.containers) {
      assert.ok(!mounts(container, 'xtables-lock') && !mounts(container, 'var-lib'));
      assert.equal(mounts(container, 'state'), container.name === 'agent');
    }
  });

  test(`${overlay}: no declared port, which as a host port would keep a second pod off the node`, () => {
    for (const container of containers) assert.equal(container.ports, undefined);
  });

  test(`${overlay}: runs on every node, before the network is ready, and is not evicted first`, () => {
    assert.equal(pod.hostNetwork, true);
    assert.equal(pod.dnsPolicy, 'Default');
    assert.equal(pod.priorityClassName, 'system-node-critical');
    assert.deepEqual(
      pod.tolerations,
      (podOf(daemonSetOf('drop-in')) as PodSpec).tolerations,
      'tolerations of the stock manifest',
    );
  });

  test(`${overlay}: every container requests memory and has a memory limit; none has a CPU limit`, () => {
    for (const { resources } of containers) {
      assert.ok(resources.requests?.cpu !== undefined);
      assert.ok(mebibytes(resources.requests?.memory) <= mebibytes(resources.limits?.memory));
      assert.equal(resources.limits?.cpu, undefined);
    }
  });
}

for (const overlay of ['iptables-nftables', 'ipvs']) {
  test(`${overlay}: an update starts the new pod beside the old one before it removes that one`, () => {
    const { updateStrategy } = daemonSetOf(overlay).spec as { updateStrategy: unknown };
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 };
    assert.deepEqual(updateStrategy, { type: 'RollingUpdate', rollingUpdate });
  });

  test(`${overlay}: init is a native sidecar: it outlives the agent`, () => {
    const pod = podOf(daemonSetOf(overlay)) as PodSpec;
    assert.deepEqual(
      pod.initContainers?.map((container) => [container.name, container.restartPolicy]),
      [['init', 'Always']],
    );
  });
}

test('drop-in: the stock container keeps NET_ADMIN on top of the default capabilities, and its ports', () => {
  const [container] = containersOf(daemonSetOf('drop-in'));
  assert.deepEqual(container?.securityContext, { capabilities: { add: ['NET_ADMIN'] } });
  assert.equal(container?.ports?.length, 3);
});

function mebibytes(quantity: string | undefined): number {
  const match = /^(\d+)Mi$/.exec(quantity ?? '');
  assert.ok(match !== null, `${quantity} is not a number of Mi`);
  return Number(match[1]);
}
