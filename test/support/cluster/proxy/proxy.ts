/** The stand-in for kube-proxy: ClusterIPs of DNS services become backends, by iptables or by nft. */
import type { Netns } from '../netns.ts';
import { dnsServices, V4, V6 } from '../plan.ts';
import { iptablesProxyRules } from './iptables.ts';
import { nftProxyRules } from './nft.ts';

export const PROXIES = ['iptables', 'nft'] as const;
export type ProxyKind = (typeof PROXIES)[number];

/** Installs the rules of kube-proxy for the DNS services of both families. */
export async function installProxy(node: Netns, kind: ProxyKind): Promise<void> {
  for (const a of [V4, V6]) {
    const services = dnsServices(a);
    const family = a === V4 ? 4 : 6;
    if (kind === 'nft') {
      await node.must(['nft', '-f', '-'], {
        input: nftProxyRules(family, services, a.clusterNetwork),
      });
    } else {
      const tool = family === 4 ? 'iptables-restore' : 'ip6tables-restore';
      const input = iptablesProxyRules(family, services, a.clusterNetwork);
      await node.must([tool, '-w', '5', '--noflush'], { input });
    }
  }
}
