/** kube-proxy's iptables mode: the chains and marks it uses, for services on port 53. */
import { createHash } from 'node:crypto';
import type { Service } from '../plan.ts';

const MASQUERADE_MARK = '0x4000/0x4000';

/** Input of `iptables-restore --noflush` (`ip6tables-restore` for family 6). */
export function iptablesProxyRules(
  family: 4 | 6,
  services: readonly Service[],
  clusterNetwork: string,
): string {
  const chains = new Set(['KUBE-SERVICES', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ']);
  const rules = [
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    `-A KUBE-POSTROUTING -m mark ! --mark ${MASQUERADE_MARK} -j RETURN`,
    '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
    '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
  ];
  for (const service of services) {
    for (const protocol of ['udp', 'tcp']) {
      const part = servicePort(family, service, protocol, clusterNetwork);
      for (const chain of part.chains) chains.add(chain);
      rules.push(...part.rules);
    }
  }
  const declared = [...chains].map((chain) => `:${chain} - [0:0]`);
  return ['*nat', ...declared, ...rules, 'COMMIT', ''].join('\n');
}

function servicePort(
  family: 4 | 6,
  service: Service,
  protocol: string,
  clusterNetwork: string,
): { chains: string[]; rules: string[] } {
  const svc = `KUBE-SVC-${hash(service.name, protocol)}`;
  const comment = `-m comment --comment "kube-system/${service.name}:dns-${protocol} cluster IP"`;
  const to = `-d ${service.clusterIp} -p ${protocol} -m ${protocol} --dport 53`;
  const chains = [svc];
  const rules = [
    `-A KUBE-SERVICES ${to} ${comment} -j ${svc}`,
    `-A ${svc} ! -s ${clusterNetwork} ${to} ${comment} -j KUBE-MARK-MASQ`,
  ];
  const total = service.endpoints.length;
  service.endpoints.forEach((endpoint, i) => {
    const sep = `KUBE-SEP-${hash(service.name, protocol, endpoint)}`;
    const share =
      i + 1 === total ? '' : `-m statistic --mode random --probability ${1 / (total - i)}`;
    const target = family === 4 ? `${endpoint}:53` : `[${endpoint}]:53`;
    chains.push(sep);
    rules.push(
      `-A ${svc} ${share} -j ${sep}`,
      `-A ${sep} -s ${endpoint} -j KUBE-MARK-MASQ`,
      `-A ${sep} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${target}`,
    );
  });
  return { chains, rules };
}

/** iptables takes chain names of 28 characters: kube-proxy hashes what they stand for, too. */
function hash(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('/')).digest('hex').slice(0, 16).toUpperCase();
}
