/** Recognises data paths of the cluster that bypass netfilter rules. It only reads. */
import { CommandError } from './exec.ts';
import type { System } from './system.ts';

/** What carries packets to Services on this node, as far as init recognises it. */
export interface DataPath {
  readonly kind: 'netfilter' | 'ipvs' | 'ebpf';
  /** What it was recognised by; empty for netfilter. */
  readonly reason: string;
}

const NETFILTER: DataPath = { kind: 'netfilter', reason: '' };

interface LinkHint {
  readonly ifname: string;
}

/** Reads links, and BPF programs only where a link hints at Calico. Never rejects: unknown counts as netfilter. */
export async function dataPathOf(system: System): Promise<DataPath> {
  const names = await linkNames(system);
  if (names.includes('cilium_host') && (await ciliumReplacesKubeProxy(system, names)))
    return {
      kind: 'ebpf',
      reason: 'link cilium_host and no rules of kube-proxy: Cilium in its place',
    };
  const cali = names.find((name) => name.startsWith('cali'));
  if (cali !== undefined && (await hasBpfFilter(system, cali)))
    return { kind: 'ebpf', reason: `BPF program on link ${cali}: Calico's eBPF data path` };
  if (names.includes('kube-ipvs0'))
    return { kind: 'ipvs', reason: 'link kube-ipvs0: kube-proxy in IPVS mode has the VIP there' };
  return NETFILTER;
}

async function linkNames(system: System): Promise<string[]> {
  const text = await quietly(system, 'ip', ['-j', 'link', 'show']);
  return text === '' ? [] : (JSON.parse(text) as LinkHint[]).map(({ ifname }) => ifname);
}

/** Beside kube-proxy Cilium leaves Services to it. In its place, no chains of kube-proxy exist. */
async function ciliumReplacesKubeProxy(system: System, names: string[]): Promise<boolean> {
  return (
    !names.includes('kube-ipvs0') &&
    !(await quietly(system, 'nft', ['list', 'chains'])).match(KUBE_PROXY_CHAIN) &&
    !(await quietly(system, 'iptables-legacy-save', [])).match(KUBE_PROXY_CHAIN)
  );
}

/** Chains of kube-proxy's iptables and nftables modes. */
const KUBE_PROXY_CHAIN = /KUBE-SERVICES|table ip6? kube-proxy/;

async function hasBpfFilter(system: System, link: string): Promise<boolean> {
  const filters = await quietly(system, 'tc', ['filter', 'show', 'dev', link, 'ingress']);
  return /\bbpf\b/.test(filters);
}

async function quietly(system: System, program: string, args: string[]): Promise<string> {
  try {
    return await system.run(program, args);
  } catch (error) {
    if (error instanceof CommandError) return '';
    throw error;
  }
}

/**
 * Whether NAT rules of another program name `address`, as kube-proxy's rules name every ClusterIP. Reads the whole
 * ruleset, which is large on a large cluster: call it until the result is true, not periodically.
 */
export async function isServed(system: System, address: string): Promise<boolean> {
  const tables = (await quietly(system, 'nft', ['list', 'ruleset'])).split(/^(?=table )/m);
  const translating = tables.filter((table) => /type nat hook/.test(table));
  const foreign = translating.filter((table) => !table.startsWith('table inet nodens_'));
  const programs = address.includes(':')
    ? (['/proc/net/ip6_tables_names', 'ip6tables-legacy-save'] as const)
    : (['/proc/net/ip_tables_names', 'iptables-legacy-save'] as const);
  const hasNat = /^nat$/m.test((await system.read(programs[0])) ?? '');
  const legacy = hasNat ? await quietly(system, programs[1], ['-t', 'nat']) : '';
  const word = new RegExp(`(?<![\\w.:])${address.replaceAll('.', '\\.')}(?![\\w.:])`);
  return [...foreign, legacy].some((text) => word.test(text));
}
