/** Rules of a cluster with thousands of Services, as kube-proxy writes them, beside those of the stand-in for it. */
import type { Netns } from '../cluster/netns.ts';
import type { ProxyKind } from '../cluster/proxy/proxy.ts';

/** Endpoints of each Service. */
const ENDPOINTS = 4;
/** Rules of one Service in iptables mode: its own, two of its chain's head, and three of each endpoint. */
const RULES_OF_SERVICE = 2 + 3 * ENDPOINTS;
/** Lines of one Service in `nft list`: its chain, two elements, and four for each endpoint. */
const LINES_OF_SERVICE = 4 + 2 + 4 * ENDPOINTS;

/** iptables-nft-restore takes time with the square of what it gets. */
const SERVICES_AT_ONCE = 500;

/** Adds `rules` rules of iptables-nft or, for `nft`, `rules` lines to kube-proxy's table. */
export async function addServices(node: Netns, kind: ProxyKind, rules: number): Promise<void> {
  const options = { timeoutMs: 120_000 };
  if (kind === 'iptables') {
    const services = indexes(Math.ceil(rules / RULES_OF_SERVICE));
    for (let from = 0; from < services.length; from += SERVICES_AT_ONCE) {
      const input = iptablesServices(services.slice(from, from + SERVICES_AT_ONCE));
      await node.must(['iptables-nft-restore', '--noflush'], { ...options, input });
    }
  } else {
    const input = nftServices(Math.ceil(rules / LINES_OF_SERVICE));
    await node.must(['nft', '-f', '-'], { ...options, input });
  }
}

const clusterIp = (i: number): string => `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
const podIp = (i: number): string => `10.${200 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
const indexes = (count: number): number[] => [...Array(count).keys()];

function iptablesServices(services: readonly number[]): string {
  const chains: string[] = [];
  const rules: string[] = [];
  for (const i of services) {
    const svc = `KUBE-SVC-LARGE${String(i).padStart(10, '0')}`;
    const name = `shop/service-${i}:http`;
    const to = `-d ${clusterIp(i)}/32 -p tcp -m comment --comment "${name} cluster IP" -m tcp --dport 80`;
    chains.push(svc);
    rules.push(
      `-A KUBE-SERVICES ${to} -j ${svc}`,
      `-A ${svc} ! -s 10.2.0.0/16 ${to} -j KUBE-MARK-MASQ`,
    );
    for (const n of indexes(ENDPOINTS)) {
      const sep = `KUBE-SEP-LARGE${String(i * ENDPOINTS + n).padStart(10, '0')}`;
      const comment = `-m comment --comment "${name}"`;
      const ip = podIp(i * ENDPOINTS + n);
      const share = `-m statistic --mode random --probability ${(1 / (ENDPOINTS - n)).toFixed(8)}`;
      chains.push(sep);
      rules.push(
        `-A ${svc} ${comment} ${n + 1 < ENDPOINTS ? share : ''} -j ${sep}`,
        `-A ${sep} -s ${ip}/32 ${comment} -j KUBE-MARK-MASQ`,
        `-A ${sep} -p tcp ${comment} -m tcp -j DNAT --to-destination ${ip}:8080`,
      );
    }
  }
  const declared = chains.map((chain) => `:${chain} - [0:0]`);
  return ['*nat', ...declared, ...rules, 'COMMIT', ''].join('\n');
}

function nftServices(services: number): string {
  const chains: string[] = [];
  const elements: string[] = [];
  for (const i of indexes(services)) {
    const service = `service-LARGE${i}-shop/service-${i}/tcp/http`;
    const choices = indexes(ENDPOINTS).map((n) => {
      const endpoint = `endpoint-LARGE${i}-${n}-shop/service-${i}/tcp/http`;
      const ip = podIp(i * ENDPOINTS + n);
      chains.push(
        `  chain ${endpoint} {\n    ip saddr ${ip} jump mark-for-masquerade\n` +
          `    meta l4proto tcp dnat to ${ip}:8080\n  }\n`,
      );
      return `${n} : goto ${endpoint}`;
    });
    chains.push(
      `  chain ${service} {\n    ip daddr ${clusterIp(i)} tcp dport 80 ip saddr != 10.2.0.0/16 jump mark-for-masquerade\n` +
        `    numgen random mod ${ENDPOINTS} vmap { ${choices.join(', ')} }\n  }\n`,
    );
    elements.push(`${clusterIp(i)} . tcp . 80 : goto ${service}`);
  }
  return (
    `table ip kube-proxy {\n${chains.join('')}}\n` +
    `add element ip kube-proxy service-ips { ${elements.join(', ')} }\n`
  );
}
