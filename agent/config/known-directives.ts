/** The errors for directives that nodens does not have: those of CoreDNS by name, with the reason. */
import { ConfigError } from '../base/errors.ts';
import { nearest } from '../base/text/nearest.ts';
import type { Corefile, Directive } from './corefile/types.ts';

const AUTHORITY = 'it is for a server of its own zones: forward them to one';
const RECORDS = 'hosts and template have records of your own; forward larger zones to their server';
const STORE = 'it reads a store of records: forward the zone to a CoreDNS that has it';
const CLIENTS = 'pods of the node ask in plain DNS: only upstreams are asked over TLS and HTTPS';

/**
 * Directives of CoreDNS 1.14 that nodens does not have, and why: it is a cache on the node of its clients, in front of other
 * servers. docs/comparison.md has the same reasons.
 */
export const NOT_OF_A_NODE_CACHE: Readonly<Record<string, string>> = {
  ...{ auto: RECORDS, file: RECORDS, root: RECORDS },
  ...{ dnssec: AUTHORITY, secondary: AUTHORITY, sign: AUTHORITY, transfer: AUTHORITY },
  tsig: 'it is for transfers and updates, and nodens sends queries of its own',
  ...{ azure: STORE, clouddns: STORE, etcd: STORE, nomad: STORE, route53: STORE },
  k8s_external:
    'it is for clients outside the cluster: it belongs to the DNS server of the cluster',
  ...{ grpc_server: CLIENTS, https: CLIENTS, https3: CLIENTS, quic: CLIENTS, tls: CLIENTS },
  proxyproto: 'no load balancer is between a pod and its node',
  grpc: 'it forwards over gRPC: forward takes plain DNS, tls:// and https://',
  geoip: 'clients of a node cache are in one place',
  erratic: 'it is for tests of clients',
  multisocket: 'one process answers on one socket of each address: remove it',
  on: 'nodens starts no programs for a Corefile',
  shed: 'clients, queries and bytes are bounded without it: remove it',
};

/**
 * Throws ConfigError for the first directive that is not in `supported`: by name if CoreDNS has it, else with the
 * nearest known name.
 */
export function checkDirectives(corefile: Corefile, supported: ReadonlySet<string>): void {
  for (const error of directiveErrors(corefile, supported)) throw error;
}

/** An error for each directive that is not in `supported`, in file order. */
export function* directiveErrors(
  corefile: Corefile,
  supported: ReadonlySet<string>,
): Iterable<ConfigError> {
  for (const block of corefile.blocks)
    for (const directive of block.directives)
      if (!supported.has(directive.name)) yield refusal(directive, supported);
}

function refusal({ name, place }: Directive, supported: ReadonlySet<string>): ConfigError {
  const reason = Object.hasOwn(NOT_OF_A_NODE_CACHE, name) ? NOT_OF_A_NODE_CACHE[name] : undefined;
  if (reason !== undefined)
    return new ConfigError(place, `directive "${name}" of CoreDNS is not in nodens: ${reason}`);
  return new ConfigError(place, `unknown directive "${name}": ${wayOut(name, supported)}`);
}

function wayOut(name: string, supported: ReadonlySet<string>): string {
  const meant = nearest(name, supported);
  if (meant !== undefined) return `did you mean "${meant}"?`;
  if (/[.:]/.test(name)) return 'if it is a zone, every server block of the file needs braces';
  return `nodens has ${[...supported].sort().join(', ')}`;
}
