/** resolv.conf(5) as far as agent and init need it; no other file parses it. */
import { familyOf } from './address.ts';

/** The domain of most clusters, without trailing dot. */
export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';

/** A `nameserver` line with its position, so that errors can point to it. */
export interface NameserverLine {
  /** The word after `nameserver`; it may not be an address. */
  readonly text: string;
  /** Line number, from 1. */
  readonly line: number;
}

/** Content of a resolv.conf. Options other than `ndots` are ignored. */
export interface ResolvConf {
  readonly nameserverLines: readonly NameserverLine[];
  /** IP addresses in file order, each once; v6 may carry a `%zone`. */
  readonly nameservers: readonly string[];
  /** Domains of the last `search` or `domain` line, as written but without a trailing dot. */
  readonly search: readonly string[];
  /** 0–15; 1 by default. */
  readonly ndots: number;
}

/** glibc's maximum. */
const MAX_NDOTS = 15;

/** Reads what it understands and skips the rest, as every resolver does: never throws. */
export function parseResolvConf(text: string): ResolvConf {
  const nameserverLines: NameserverLine[] = [];
  let search: readonly string[] = [];
  let ndots = 1;
  for (const [index, content] of text.split('\n').entries()) {
    const [keyword, ...values] = content
      .replace(/[#;].*$/, '')
      .split(/\s+/)
      .filter(Boolean);
    const first = values[0] ?? '';
    if (keyword === 'nameserver' && first !== '')
      nameserverLines.push({ text: first, line: index + 1 });
    else if (keyword === 'search') search = values.map(withoutDot).filter(Boolean);
    else if (keyword === 'domain' && first !== '') search = [withoutDot(first)].filter(Boolean);
    else if (keyword === 'options') ndots = ndotsOf(values) ?? ndots;
  }
  const addresses = nameserverLines.map((line) => line.text).filter(isAddress);
  return { nameserverLines, nameservers: [...new Set(addresses)], search, ndots };
}

function isAddress(text: string): boolean {
  return familyOf(text) !== undefined;
}

function withoutDot(domain: string): string {
  return domain.replace(/\.$/, '');
}

function ndotsOf(options: readonly string[]): number | undefined {
  const digits = options.findLast((option) => /^ndots:\d+$/.test(option))?.slice('ndots:'.length);
  return digits === undefined ? undefined : Math.min(Number(digits), MAX_NDOTS);
}

/** The cluster domains in a pod's search path: X of each `svc.X`, lower case. */
export function searchedClusterDomains({ search }: Pick<ResolvConf, 'search'>): string[] {
  return search.flatMap((domain) => {
    const found = /^svc\.([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/i.exec(domain)?.[1];
    return found === undefined ? [] : [found.toLowerCase()];
  });
}

/** The first of them; undefined if there is none. */
export function clusterDomainOf(conf: ResolvConf): string | undefined {
  return searchedClusterDomains(conf)[0];
}

/** What the kubelet takes of a node's resolv.conf for the resolv.conf of pods. */
export interface PodDefaults {
  /** Domains of the last `search` line, without trailing dots but for the root, `.`. `domain` lines do not count. */
  readonly search: readonly string[];
  /** Of the last `options` line that has it; undefined: not stated. */
  readonly ndots: number | undefined;
}

/** As the kubelet reads it (pkg/kubelet/network/dns); never throws. */
export function podDefaults(text: string): PodDefaults {
  let search: readonly string[] = [];
  let ndots: number | undefined;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .split(/\s+/)
      .filter(Boolean);
    if (keyword === 'search')
      search = values.map((word) => (word === '.' ? word : withoutDot(word)));
    else if (keyword === 'options') ndots = ndotsOf(values) ?? ndots;
  }
  return { search, ndots };
}
