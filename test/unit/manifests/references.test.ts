import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forInit } from '../../../agent/cli/init.ts';
import { agentOptions, parseFlags } from '../../../agent/cli/options.ts';
import { initOptionsFrom } from '../../../init/options.ts';
import {
  build,
  type Container,
  containersOf,
  type PodSpec,
  podOf,
  type Resource,
} from './kustomize.ts';

const OVERLAYS = new URL('../../../manifests/overlays/', import.meta.url).pathname;
const INSTALLATIONS = ['iptables-nftables', 'ipvs'];
const STOCK = { __PILLAR__LOCAL__DNS__: '169.254.20.10', __PILLAR__DNS__SERVER__: '10.96.0.10' };

for (const overlay of [...INSTALLATIONS, 'cilium', 'drop-in', 'cleanup']) {
  const resources = build(`${OVERLAYS}${overlay}`);
  const configMaps = new Map(
    resources
      .filter((r) => r.kind === 'ConfigMap')
      .map((r) => [r.metadata.name, r.data as Record<string, string>]),
  );
  const daemonSets = resources.filter((r) => r.kind === 'DaemonSet');

  test(`${overlay}: one DaemonSet, whose selector and Services find its pods`, () => {
    assert.equal(daemonSets.length, 1);
    const { selector, template } = (daemonSets[0] as Resource).spec as {
      selector: { matchLabels: Record<string, string> };
      template: { metadata: { labels: Record<string, string> } };
    };
    assert.deepEqual(selector.matchLabels, template.metadata.labels);
    for (const service of resources.filter((r) => r.kind === 'Service')) {
      const wanted = (service.spec as { selector: Record<string, string> }).selector;
      assert.ok(
        wanted['k8s-app'] === 'kube-dns' ||
          wanted['k8s-app'] === template.metadata.labels['k8s-app'],
        `${service.metadata.name} selects no pod`,
      );
    }
  });

  test(`${overlay}: every volume is mounted, every mount has a volume, every ConfigMap exists`, () => {
    const pod = podOf(daemonSets[0] as Resource) as PodSpec;
    const mounts = [...(pod.initContainers ?? []), ...pod.containers].flatMap(
      (c) => c.volumeMounts ?? [],
    );
    assert.deepEqual(
      [...new Set(mounts.map((mount) => mount.name))].sort(),
      pod.volumes.map((volume) => volume.name).sort(),
    );
    for (const { configMap } of pod.volumes) {
      if (configMap === undefined || configMap.optional === true) continue;
      const data = configMaps.get(configMap.name);
      assert.ok(data !== undefined, `no ConfigMap ${configMap.name}`);
      for (const { key } of configMap.items ?? []) assert.ok(key in data, `no key ${key}`);
    }
    for (const container of containersOf(daemonSets[0] as Resource))
      for (const { configMapRef } of container.envFrom ?? [])
        assert.ok(configMaps.has(configMapRef.name), `no ConfigMap ${configMapRef.name}`);
  });

  test(`${overlay}: the ServiceAccount exists`, () => {
    const { serviceAccountName } = podOf(daemonSets[0] as Resource) as PodSpec;
    const accounts = resources.filter((r) => r.kind === 'ServiceAccount');
    assert.deepEqual(
      accounts.map((account) => account.metadata.name),
      serviceAccountName === undefined ? [] : [serviceAccountName],
    );
  });

  for (const container of daemonSets.flatMap(containersOf).filter((c) => c.args !== undefined))
    test(`${overlay}: nodens accepts the arguments of ${container.name}`, () => {
      const settings = Object.assign({}, ...environmentsOf(container, configMaps)) as Environment;
      takes(container, expand(container.args ?? [], settings));
    });
}

type Environment = Readonly<Record<string, string>>;

function environmentsOf(
  container: Container,
  configMaps: ReadonlyMap<string, Environment>,
): Environment[] {
  return (container.envFrom ?? []).map(
    ({ configMapRef }) => configMaps.get(configMapRef.name) ?? {},
  );
}

/** As the kubelet expands `$(NAME)`, and as sed fills the stock manifest; an unknown name fails. */
function expand(args: readonly string[], settings: Environment): string[] {
  return args.map((arg) => {
    let text = arg.replace(/\$\((\w+)\)/g, (reference, name: string) => {
      const value = settings[name];
      assert.ok(value !== undefined, `${reference} is in no ConfigMap`);
      return value;
    });
    for (const [placeholder, value] of Object.entries(STOCK))
      text = text.replaceAll(placeholder, value);
    return text;
  });
}

/** Parses the arguments as the program does: every flag exists for this subcommand and accepts this value. */
function takes(container: Container, args: readonly string[]): void {
  const [first = '', ...rest] = args;
  if (first === 'init') {
    const options = initOptionsFrom(forInit(parseFlags(rest, 'init').values));
    assert.equal(options.mode, container.name === 'cleanup' ? 'cleanup' : 'run');
    assert.ok(options.localIps.length > 0);
    return;
  }
  const isAgent = first === 'agent';
  const { values } = parseFlags(isAgent ? rest : args, isAgent ? 'agent' : 'drop-in');
  assert.ok(agentOptions(values).localIps.length > 0);
}

for (const overlay of INSTALLATIONS) {
  const resources = build(`${OVERLAYS}${overlay}`);
  const pod = podOf(resources.find((r) => r.kind === 'DaemonSet') as Resource) as PodSpec;
  const [init, agent] = [pod.initContainers?.[0] as Container, pod.containers[0] as Container];
  const flag = (container: Container, name: string): string | undefined =>
    container.args?.find((arg) => arg.startsWith(`--${name}=`))?.split('=')[1];

  test(`${overlay}: init and agent have the same addresses, and connect over one socket that both mount`, () => {
    assert.equal(flag(init, 'localip'), flag(agent, 'localip'));
    assert.equal(
      flag(agent, 'localip'),
      overlay === 'ipvs' ? '$(LINK_LOCAL_IPS)' : '$(LINK_LOCAL_IPS),$(KUBE_DNS_IPS)',
    );
    assert.equal(flag(init, 'socket'), flag(agent, 'socket'));
    for (const container of [init, agent]) assert.ok(isMounted(container, flag(init, 'socket')));
  });

  test(`${overlay}: with a read-only root, what the agent writes and reads is on volumes`, () => {
    assert.ok(isMounted(agent, flag(agent, 'conf')));
    const base = flag(agent, 'basecorefile') ?? '';
    assert.ok(isMounted(agent, base));
    const items = pod.volumes.flatMap((volume) => volume.configMap?.items ?? []);
    assert.deepEqual(
      items.map((item) => item.path),
      [base.split('/').at(-1)],
    );
  });

  test(`${overlay}: the upstream Service is the one that the agent uses`, () => {
    const names = resources.filter((r) => r.kind === 'Service').map((r) => r.metadata.name);
    assert.ok(names.includes(flag(agent, 'upstreamsvc') ?? ''));
  });
}

function isMounted(container: Container, path: string | undefined): boolean {
  const mounts = container.volumeMounts ?? [];
  return path !== undefined && mounts.some((mount) => path.startsWith(`${mount.mountPath}/`));
}
