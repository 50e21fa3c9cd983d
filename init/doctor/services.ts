/** Addresses at which kube-dns itself answers: those given by the settings, else those in kube-proxy's rules. */
import { familyOf } from '../../agent/base/address.ts';
import type { Facts, Rules } from './facts.ts';
import type { DoctorOptions } from './options.ts';

/** Services in front of kube-dns, those first that nodens itself never answers on. */
export const SERVICE_NAMES = ['nodens-upstream', 'kube-dns-upstream', 'kube-dns'];

/**
 * What the kubelet says, and for families of which it says nothing ClusterIPs of the first of `SERVICE_NAMES` that has some that
 * are not local IPs; else that of kube-dns itself, unless that is one. kube-proxy writes the names of Services into
 * comments (iptables) and chains (nftables).
 */
export function kubeDnsOn(
  rules: Facts['rules'],
  localIps: readonly string[],
  { kubeDnsUpstream, kubeDnsService }: Pick<DoctorOptions, 'kubeDnsUpstream' | 'kubeDnsService'>,
): string[] {
  const services = 'value' in rules ? serviceIps(rules.value) : new Map();
  const isForeign = (ip: string): boolean => !localIps.includes(ip);
  const found = SERVICE_NAMES.map((name) => [...(services.get(name) ?? [])].filter(isForeign));
  const given = [kubeDnsUpstream ?? []].flat();
  const hinted = [kubeDnsService ?? []].flat().filter(isForeign);
  const seen = found.find((ips) => ips.length > 0) ?? (given.length > 0 ? [] : hinted);
  const families = new Set(given.map(familyOf));
  return [...given, ...seen.filter((ip) => !families.has(familyOf(ip)))];
}

/** ClusterIPs by the Service's name. */
function serviceIps(rules: Rules): Map<string, Set<string>> {
  const text = textOf(rules);
  const services = new Map<string, Set<string>>();
  for (const pattern of [PORTAL, MAPPED, UNSERVED_PORTAL, UNSERVED_MAPPED])
    for (const [, ip = '', name = ''] of text.matchAll(pattern))
      services.set(name, (services.get(name) ?? new Set()).add(ip));
  return services;
}

/** Whether kube-proxy knows `ip` as a Service's. */
export function isServiceIp(rules: Rules, ip: string): boolean {
  return [...serviceIps(rules).values()].some((ips) => ips.has(ip));
}

/** Whether kube-proxy refuses what is sent to `ip`, because no pod stands behind a port of its Service. */
export function hasNoEndpoints(rules: Rules, ip: string): boolean {
  const text = textOf(rules);
  return [UNSERVED_PORTAL, UNSERVED_MAPPED].some((pattern) =>
    [...text.matchAll(pattern)].some((match) => match[1] === ip),
  );
}

function textOf({ nft, iptables, legacy }: Rules): string {
  return [nft, iptables, legacy].join('\n');
}

/** `-d 10.96.0.11/32 … --comment "kube-system/nodens-upstream:dns cluster IP" …` */
const PORTAL = /-d ([\da-f.:]+)\/\d+ .*--comment "[\w-]+\/([\w-]+):[^"]*cluster IP"/g;
/** `-d 10.96.0.11/32 … --comment "kube-system/nodens-upstream:dns has no endpoints" … -j REJECT …` */
const UNSERVED_PORTAL =
  /-d ([\da-f.:]+)\/\d+ .*--comment "[\w-]+\/([\w-]+):[^"]*has no endpoints"/g;
/** `10.96.0.11 . udp . 53 : goto service-ABCDEFGH-kube-system/nodens-upstream/udp/dns` */
const MAPPED =
  /([\da-f.:]+) \. (?:udp|tcp) \. \d+ (?:comment "[^"]*" )?: goto service-[\w-]+\/([\w-]+)\/(?:udp|tcp)\//g;
/** `10.96.0.11 . udp . 53 comment "kube-system/nodens-upstream:dns" : goto reject-chain` */
const UNSERVED_MAPPED =
  /([\da-f.:]+) \. (?:udp|tcp) \. \d+ comment "[\w-]+\/([\w-]+)(?::[^"]*)?" : (?:goto reject-chain|drop)/g;
