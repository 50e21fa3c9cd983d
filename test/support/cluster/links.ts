/** Links, addresses and routes between the namespaces. */

import type { Netns } from './netns.ts';
import { type Addresses, V4, V6 } from './plan.ts';

/** The namespaces of one cluster. */
export interface Namespaces {
  readonly node: Netns;
  readonly pods: readonly [Netns, Netns];
  readonly backends: readonly [Netns, Netns];
  readonly internet: Netns;
}

const BOTH: readonly Addresses[] = [V4, V6];

/** Commands of `ip` by namespace, in order: one process for each command would take most of the time. */
type Commands = ReadonlyMap<Netns, string[]>;

/**
 * Wires a cluster: pods behind the node's bridge `cni0`; node and backends on the bridge `lan0` of `internet`, which
 * routes between them and holds the external resolver; `bare0`, a link of the node without any address.
 */
export async function wire(all: Namespaces): Promise<void> {
  const { node, pods, backends, internet } = all;
  await Promise.all([forwarding(node), forwarding(internet)]);
  await node.ipBatch([
    ...bridge('cni0'),
    ...pods.flatMap((pod, i) => plug('cni0', `pod${i + 1}`, pod)),
    ...bareLink(),
  ]);
  await internet.ipBatch([
    ...bridge('lan0'),
    ...plug('lan0', 'node', node),
    ...backends.flatMap((dns, i) => plug('lan0', `dns${i + 1}`, dns)),
  ]);
  const spaces = [internet, node, ...pods, ...backends];
  const commands = new Map(
    spaces.map((space) => [space, space === internet ? [] : ['link set eth0 up']]),
  );
  for (const a of BOTH) address(commands, all, a);
  for (const a of BOTH)
    commands.get(node)?.push(`route add ${a.unnumbered}/${a.hostPrefix} dev bare0`);
  for (const [space, lines] of commands) await space.ipBatch(lines);
}

async function forwarding(netns: Netns): Promise<void> {
  await netns.sysctl({ 'net/ipv4/ip_forward': 1, 'net/ipv6/conf/all/forwarding': 1 });
}

function bridge(name: string): string[] {
  return [`link add ${name} type bridge`, `link set ${name} up`];
}

/** A veth pair from `bridgeName` (its end is called `port`) to a new `eth0` of `guest`. */
function plug(bridgeName: string, port: string, guest: Netns): string[] {
  return [
    `link add ${port} type veth peer name eth0 netns ${guest.name}`,
    `link set ${port} master ${bridgeName} up`,
  ];
}

function bareLink(): string[] {
  return [
    'link add bare0 type veth peer name bare1',
    'link set bare0 addrgenmode none',
    'link set bare0 up',
    'link set bare1 up',
  ];
}

function address(commands: Commands, all: Namespaces, a: Addresses): void {
  const on = (netns: Netns, device: string, ip: string, prefix: number): void =>
    void commands.get(netns)?.push(`addr add ${ip}/${prefix} dev ${device}`);
  const via = (netns: Netns, network: string, hop: string): void =>
    void commands.get(netns)?.push(`route add ${network} ${hop}`);

  on(all.node, 'cni0', a.gateway, a.netPrefix);
  on(all.node, 'eth0', a.node, a.netPrefix);
  on(all.internet, 'lan0', a.router, a.netPrefix);
  on(all.internet, 'lo', a.resolver, a.hostPrefix);
  const everything = a === V4 ? 'default' : '::/0';
  for (const [i, pod] of all.pods.entries()) {
    on(pod, 'eth0', a.pods[i] as string, a.netPrefix);
    via(pod, everything, `via ${a.gateway}`);
  }
  via(all.node, everything, `via ${a.router}`);
  via(all.node, a.backendNetwork, 'dev eth0');
  via(all.internet, a.podNetwork, `via ${a.node}`);
  via(all.internet, a.backendNetwork, 'dev lan0');
  for (const [i, dns] of all.backends.entries()) {
    on(dns, 'eth0', a.backends[i] as string, a.netPrefix);
    via(dns, a.lanNetwork, 'dev eth0');
    via(dns, a.podNetwork, `via ${a.node}`);
  }
}
