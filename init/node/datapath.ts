/** Recognises data paths of the cluster that bypass netfilter rules. It only reads. */
import { legacyTables } from '../firewall/iptables/presence.ts';
import { quietly } from './exec.ts';
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
    !(await hasKubeProxyTables(system).catch(() => false)) &&
    !(await hasLegacyKubeProxy(system))
  );
}

async function hasKubeProxyTables(system: System): Promise<boolean> {
  const { nfTables } = system;
  if (nfTables === undefined)
    return KUBE_PROXY_CHAIN.test(await quietly(system, 'nft', ['list', 'chains']));
  for (const family of ['ip', 'ip6'])
    if (
      (await nfTables.hasTable({ family, table: 'kube-proxy' })) ||
      (await nfTables.hasChain({ family, table: 'nat' }, 'KUBE-SERVICES'))
    )
      return true;
  return false;
}

/** Chains of kube-proxy's iptables and nftables modes. */
const KUBE_PROXY_CHAIN = /KUBE-SERVICES|table ip6? kube-proxy/;

/** By the smallest of its tables, if that exists: nat has a rule for each endpoint of the cluster. */
async function hasLegacyKubeProxy(system: System): Promise<boolean> {
  if (!(await legacyTables(system, 4)).includes('filter')) return false;
  const filter = await quietly(system, 'iptables-legacy-save', ['-t', 'filter']);
  return KUBE_PROXY_CHAIN.test(filter);
}

async function hasBpfFilter(system: System, link: string): Promise<boolean> {
  const filters = await quietly(system, 'tc', ['filter', 'show', 'dev', link, 'ingress']);
  return /\bbpf\b/.test(filters);
}
