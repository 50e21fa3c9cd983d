/** Where kube-dns can be asked so that it is kube-dns that answers: what kube-proxy's rules say, where nobody told. */
import type { System } from '../system.ts';
import type { Facts } from './facts.ts';

/** Services in front of kube-dns, those first that nodens itself never answers on. */
const NAMES = ['nodens-upstream', 'kube-dns-upstream', 'kube-dns'];

/**
 * ClusterIPs of the first of `NAMES` that has some that are not local IPs; else `hint`, unless that is one. kube-proxy
 * writes the names of Services into comments (iptables) and chains (nftables).
 */
export async function kubeDnsOn(
  system: System,
  rules: Facts['rules'],
  localIps: readonly string[],
  hint: string | undefined,
): Promise<string[]> {
  const services = 'value' in rules ? await serviceIps(system, rules.value) : new Map();
  const isForeign = (ip: string): boolean => !localIps.includes(ip);
  const found = NAMES.map((name) => [...(services.get(name) ?? [])].filter(isForeign));
  const hinted = [hint ?? ''].filter((ip) => ip !== '' && isForeign(ip));
  return found.find((ips) => ips.length > 0) ?? hinted;
}

/** ClusterIPs by the Service's name. nft does not show the comments of rules that iptables put. */
async function serviceIps(
  system: System,
  { nft, legacy }: { readonly nft: string; readonly legacy: string },
): Promise<Map<string, Set<string>>> {
  const saves = nft.includes('KUBE-SERVICES') ? ['iptables-nft-save', 'ip6tables-nft-save'] : [];
  const saved = await Promise.all(
    saves.map((program) => system.run(program, ['-t', 'nat']).catch(() => '')),
  );
  const text = [nft, legacy, ...saved].join('\n');
  const services = new Map<string, Set<string>>();
  for (const pattern of [PORTAL, MAPPED])
    for (const [, ip = '', name = ''] of text.matchAll(pattern))
      services.set(name, (services.get(name) ?? new Set()).add(ip));
  return services;
}

/** `-d 10.96.0.11/32 … --comment "kube-system/nodens-upstream:dns cluster IP" …` */
const PORTAL = /-d ([\da-f.:]+)\/\d+ .*--comment "[\w-]+\/([\w-]+):[^"]*cluster IP"/g;
/** `10.96.0.11 . udp . 53 : goto service-ABCDEFGH-kube-system/nodens-upstream/udp/dns` */
const MAPPED = /([\da-f.:]+) \. (?:udp|tcp) \. \d+ : goto service-[\w-]+\/([\w-]+)\/(?:udp|tcp)\//g;
