/** kube-proxy's nftables mode: a verdict map from service address to chain, for services on port 53. */
import type { Service } from '../plan.ts';

/** Input of `nft -f -`: the whole `kube-proxy` table of one family. */
export function nftProxyRules(
  family: 4 | 6,
  services: readonly Service[],
  clusterNetwork: string,
): string {
  const ip = family === 4 ? 'ip' : 'ip6';
  const ports = services.flatMap((service) =>
    ['udp', 'tcp'].map((protocol) => ({ service, protocol, chain: chainOf(service, protocol) })),
  );
  const elements = ports.map(
    ({ service, protocol, chain }) => `${service.clusterIp} . ${protocol} . 53 : goto ${chain}`,
  );
  return `
table ${ip} kube-proxy {
  map service-ips {
    type ${ip === 'ip' ? 'ipv4_addr' : 'ipv6_addr'} . inet_proto . inet_service : verdict
    elements = { ${elements.join(', ')} }
  }
  chain mark-for-masquerade {
    meta mark set meta mark | 0x4000
  }
${ports.map((port) => serviceChains(ip, port, clusterNetwork)).join('')}
  chain services {
    ${ip} daddr . meta l4proto . th dport vmap @service-ips
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    jump services
  }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 meta mark set meta mark ^ 0x4000 masquerade fully-random
  }
}
`;
}

function chainOf(service: Service, protocol: string): string {
  return `service-ABCDEFGH-kube-system/${service.name}/${protocol}/dns-${protocol}`;
}

function serviceChains(
  ip: string,
  port: { service: Service; protocol: string; chain: string },
  clusterNetwork: string,
): string {
  const { service, protocol, chain } = port;
  const ends = service.endpoints.map((endpoint, i) => ({
    endpoint,
    name: `endpoint-${i}-${chain}`,
  }));
  const colon = (address: string): string => (ip === 'ip' ? address : `[${address}]`);
  const endChains = ends.map(
    ({ endpoint, name }) => `  chain ${name} {
    ${ip} saddr ${endpoint} jump mark-for-masquerade
    meta l4proto ${protocol} dnat to ${colon(endpoint)}:53
  }
`,
  );
  const choices = ends.map(({ name }, i) => `${i} : goto ${name}`);
  return `${endChains.join('')}  chain ${chain} {
    ${ip} daddr ${service.clusterIp} ${protocol} dport 53 ${ip} saddr != ${clusterNetwork} jump mark-for-masquerade
    numgen random mod ${ends.length} vmap { ${choices.join(', ')} }
  }
`;
}
