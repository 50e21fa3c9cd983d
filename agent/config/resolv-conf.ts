/** resolv.conf(5) as far as a forwarder and a search-path detective need it. */
import { familyOf } from '../base/address.ts';

export interface ResolvConf {
  /** IP addresses in file order, each once; v6 may carry a `%zone`. */
  readonly nameservers: readonly string[];
  /** Domains of the last `search` or `domain` line, as written but for a trailing dot. */
  readonly search: readonly string[];
  /** 0–15; 1 where nothing says otherwise. */
  readonly ndots: number;
}

/** glibc's cap. */
const MAX_NDOTS = 15;

/** Reads what is understood and skips the rest, as every resolver does: never throws. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers = new Set<string>();
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .split(/\s+/)
      .filter(Boolean);
    const first = values[0] ?? '';
    if (keyword === 'nameserver' && familyOf(first) !== undefined) nameservers.add(first);
    else if (keyword === 'search') search = values.map(withoutDot).filter(Boolean);
    else if (keyword === 'domain' && first !== '') search = [withoutDot(first)].filter(Boolean);
    else if (keyword === 'options') ndots = ndotsOf(values) ?? ndots;
  }
  return { nameservers: [...nameservers], search, ndots };
}

function withoutDot(domain: string): string {
  return domain.replace(/\.$/, '');
}

function ndotsOf(options: readonly string[]): number | undefined {
  const digits = options.findLast((option) => /^ndots:\d+$/.test(option))?.slice('ndots:'.length);
  return digits === undefined ? undefined : Math.min(Number(digits), MAX_NDOTS);
}

/** The cluster domain a pod's search path tells, lower case: X of the first `svc.X`; undefined where none does. */
export function clusterDomainOf(conf: ResolvConf): string | undefined {
  for (const domain of conf.search) {
    const found = /^svc\.([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/i.exec(domain)?.[1];
    if (found !== undefined) return found.toLowerCase();
  }
  return undefined;
}
