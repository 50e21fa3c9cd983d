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

/**
 * Wires a cluster: pods behind the node's bridge `cni0`; node and backends on the bridge `lan0` of `internet`, which
 * routes between them and holds the external resolver; `bare0`, a link of the node without any address.
 */
export async function wire(all: Namespaces): Promise<void> {
  await forwarding(all.node);
  await forwarding(all.internet);
  await bridge(all.node, 'cni0');
  await bridge(all.internet, 'lan0');
  for (const [i, pod] of all.pods.entries()) await plug(all.node, 'cni0', `pod${i + 1}`, pod);
  await plug(all.internet, 'lan0', 'node', all.node);
  for (const [i, dns] of all.backends.entries())
    await plug(all.internet, 'lan0', `dns${i + 1}`, dns);
  for (const a of BOTH) await address(all, a);
  await bareLink(all.node);
}

async function forwarding(netns: Netns): Promise<void> {
  await netns.sysctl({ 'net/ipv4/ip_forward': 1, 'net/ipv6/conf/all/forwarding': 1 });
}

async function bridge(netns: Netns, name: string): Promise<void> {
  await netns.ip('link', 'add', name, 'type', 'bridge');
  await netns.ip('link', 'set', name, 'up');
}

/** A cable from `bridgeName` (its end is called `port`) to a new `eth0` of `guest`. */
async function plug(owner: Netns, bridgeName: string, port: string, guest: Netns): Promise<void> {
  await owner.ip(
    ...['link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest.name],
  );
  await owner.ip('link', 'set', port, 'master', bridgeName, 'up');
  await guest.ip('link', 'set', 'eth0', 'up');
}

async function address(all: Namespaces, a: Addresses): Promise<void> {
  const on = (netns: Netns, device: string, ip: string, prefix: number): Promise<string> =>
    netns.ip('addr', 'add', `${ip}/${prefix}`, 'dev', device);
  const via = (netns: Netns, network: string, ...hop: string[]): Promise<string> =>
    netns.ip('route', 'add', network, ...hop);

  await on(all.node, 'cni0', a.gateway, a.netPrefix);
  await on(all.node, 'eth0', a.node, a.netPrefix);
  await on(all.internet, 'lan0', a.router, a.netPrefix);
  await on(all.internet, 'lo', a.resolver, a.hostPrefix);
  const everything = a === V4 ? 'default' : '::/0';
  for (const [i, pod] of all.pods.entries()) {
    await on(pod, 'eth0', a.pods[i] as string, a.netPrefix);
    await via(pod, everything, 'via', a.gateway);
  }
  await via(all.node, everything, 'via', a.router);
  await via(all.node, a.backendNetwork, 'dev', 'eth0');
  await via(all.internet, a.podNetwork, 'via', a.node);
  await via(all.internet, a.backendNetwork, 'dev', 'lan0');
  for (const [i, dns] of all.backends.entries()) {
    await on(dns, 'eth0', a.backends[i] as string, a.netPrefix);
    await via(dns, a.lanNetwork, 'dev', 'eth0');
    await via(dns, a.podNetwork, 'via', a.node);
  }
}

async function bareLink(node: Netns): Promise<void> {
  await node.ip('link', 'add', 'bare0', 'type', 'veth', 'peer', 'name', 'bare1');
  await node.sysctl({ 'net/ipv6/conf/bare0/addr_gen_mode': 1 });
  for (const end of ['bare0', 'bare1']) await node.ip('link', 'set', end, 'up');
  for (const a of BOTH) {
    await node.ip('route', 'add', `${a.unnumbered}/${a.hostPrefix}`, 'dev', 'bare0');
  }
}
