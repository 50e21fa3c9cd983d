/** What `nodens explain` says of the configuration: what a block forwards to, and the search list that pods have. */
import { formatEndpoint, parseEndpoint } from '../base/address.ts';
import type { SearchPath } from '../base/clients/pod-sources.ts';
import type { Place } from '../base/errors.ts';
import {
  DEFAULT_CLUSTER_DOMAIN,
  podDefaults,
  searchedClusterDomains,
} from '../base/resolv-conf.ts';
import { clusterDomainsOf } from '../config/cluster-upstream.ts';
import type { Environment } from '../config/corefile/env.ts';
import type { Corefile, Line } from '../config/corefile/types.ts';
import { systemFiles } from '../config/files.ts';
import type { UpstreamState } from '../upstream/upstreams.ts';

const DNS_PORT = 53;
const RESOLV_CONF = '/etc/resolv.conf';
/** What the kubelet writes for pods whose DNS is the cluster's. */
const CLUSTER_NDOTS = 5;

/** An upstream as the Corefile names it, or by address where its state is known. */
interface Target {
  readonly to: string;
  readonly state?: string | undefined;
}

/** Targets of the first `forward` of the block at `place` that takes `name` (presentation format, trailing dot). */
export function upstreamsOf(
  corefile: Corefile | undefined,
  { file, line }: Place,
  name: string,
  states: readonly UpstreamState[],
): readonly Target[] {
  const block = corefile?.blocks.find(({ place }) => place.file === file && place.line === line);
  const uses = block?.directives.find((directive) => directive.name === 'forward')?.uses ?? [];
  const [, ...to] = uses.find((use) => takes(use, name.toLowerCase()))?.args ?? [];
  return to.map(({ text }) => {
    const endpoint = parseEndpoint(text.replace(/^dns:\/\//, ''), DNS_PORT);
    if (endpoint === undefined) return { to: text };
    const address = formatEndpoint(endpoint);
    return { to: address, state: states.find((one) => one.to === address)?.state };
  });
}

function takes({ args, body = [] }: Line, name: string): boolean {
  const isIn = (zone = '.'): boolean => {
    const suffix = `${zone.toLowerCase().replace(/\.$/, '')}.`;
    return suffix === '.' || name === suffix || name.endsWith(`.${suffix}`);
  };
  const except = body.filter((option) => option.name.text === 'except');
  return isIn(args[0]?.text) && !except.some((one) => one.args.some(({ text }) => isIn(text)));
}

/** The search list of a pod of `namespace` whose DNS is the cluster's, on a node with the agent's resolv.conf. */
export function assumedSearch(
  namespace: string,
  corefile: Corefile | undefined,
  env: Environment,
  upstreamService: string,
): SearchPath {
  const { search } = podDefaults(readable(RESOLV_CONF));
  const searched = searchedClusterDomains({ search });
  const forwarded = corefile && clusterDomainsOf(corefile, env, upstreamService)[0];
  const domain = (forwarded ?? searched[0] ?? DEFAULT_CLUSTER_DOMAIN).replace(/\.$/, '');
  const isOfCluster = (one: string): boolean =>
    searched.some((own) => one === own || `.${one}`.endsWith(`.svc.${own}`));
  const own = [`${namespace}.svc.${domain}`, `svc.${domain}`, domain];
  const nodes = search.filter((one) => one !== '.' && !isOfCluster(one.toLowerCase()));
  return { domains: [...own, ...nodes].map((one) => `${one}.`), ndots: CLUSTER_NDOTS };
}

function readable(path: string): string {
  try {
    return systemFiles.read(path);
  } catch {
    // Without the file the node has no search domains.
    return '';
  }
}
