/** The search list that the kubelet writes into a pod's resolv.conf (pkg/kubelet/network/dns). */
import type { PodDefaults } from '../../base/resolv-conf.ts';
import { type SearchList, searchList } from './search-list.ts';

/** What the kubelet of this node uses for every pod. */
export interface NodeDns extends PodDefaults {
  /** Without a trailing dot. */
  readonly clusterDomain: string;
}

/** The fields of a pod that its resolv.conf depends on; `spec.dnsConfig` is JSON that no code has checked. */
export interface PodDns {
  readonly namespace: string;
  readonly dnsPolicy: string;
  readonly dnsConfig: unknown;
}

/** The kubelet's maximum of domains, and of characters of the line. */
const MAX_DOMAINS = 32;
const MAX_LINE_CHARS = 2_048;
const MAX_DOMAIN_CHARS = 253;
/** Of pods whose DNS is the cluster's. */
const CLUSTER_NDOTS = 5;
/** resolv.conf(5). */
const DEFAULT_NDOTS = 1;
const MAX_NDOTS = 15;

/** For a pod without host network. Undefined: the pod expands no name. */
export function podSearchList(pod: PodDns, node: NodeDns): SearchList | undefined {
  const { searches, ndots } = readDnsConfig(pod.dnsConfig);
  const base = baseOf(pod, node);
  const domains = fitted([...new Set([...base.search, ...searches])]);
  const dots = Math.min(ndots ?? base.ndots ?? DEFAULT_NDOTS, MAX_NDOTS);
  return searchList(domains, dots, pod.namespace);
}

function baseOf({ namespace, dnsPolicy }: PodDns, node: NodeDns): PodDefaults {
  if (dnsPolicy === 'None') return { search: [], ndots: undefined };
  if (dnsPolicy === 'Default') return node;
  // ClusterFirst and ClusterFirstWithHostNet are the same for a pod without host network.
  const { clusterDomain } = node;
  const own = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return { search: [...own, ...node.search], ndots: CLUSTER_NDOTS };
}

interface DnsConfig {
  readonly searches: readonly string[];
  readonly ndots: number | undefined;
}

function readDnsConfig(value: unknown): DnsConfig {
  const { searches, options } = (value ?? {}) as { searches?: unknown; options?: unknown };
  const named = Array.isArray(options) ? options.filter(isNdots) : [];
  const digits = named.at(-1)?.value;
  return {
    searches: Array.isArray(searches) ? searches.filter((one) => typeof one === 'string') : [],
    ndots: /^\d{1,3}$/.test(digits ?? '') ? Number(digits) : undefined,
  };
}

function isNdots(option: unknown): option is { readonly value?: string } {
  const { name, value } = (option ?? {}) as { name?: unknown; value?: unknown };
  return name === 'ndots' && (value === undefined || typeof value === 'string');
}

/** What is left after the kubelet's limits, which it applies from the end. */
function fitted(domains: readonly string[]): string[] {
  const kept = domains.slice(0, MAX_DOMAINS).filter(({ length }) => length <= MAX_DOMAIN_CHARS);
  while (kept.join(' ').length > MAX_LINE_CHARS) kept.pop();
  return kept;
}
