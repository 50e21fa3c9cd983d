/** The directives of CoreDNS, and the errors for those that nodens does not have. */
import { ConfigError } from '../base/errors.ts';
import { nearest } from '../base/text/nearest.ts';
import type { Corefile, Directive } from './corefile/types.ts';

/** Every directive name of CoreDNS 1.14, including those of node-local-dns. */
const KNOWN_DIRECTIVES: ReadonlySet<string> = new Set(
  `acl any auto autopath azure bind bufsize cache cancel chaos clouddns debug dns64 dnssec dnstap
  erratic errors etcd file forward geoip grpc grpc_server header health hosts https https3
  k8s_external kubernetes loadbalance local log loop metadata minimal multisocket nomad nsid on
  pprof prometheus proxyproto quic ready reload rewrite root route53 secondary shed sign template
  timeouts tls trace transfer tsig view whoami`.split(/\s+/),
);

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
  if (KNOWN_DIRECTIVES.has(name))
    return new ConfigError(
      place,
      `directive "${name}" is known to CoreDNS but nodens does not support it yet: remove it, or ` +
        'forward the zone to a CoreDNS that has it',
    );
  return new ConfigError(place, `unknown directive "${name}": ${wayOut(name, supported)}`);
}

function wayOut(name: string, supported: ReadonlySet<string>): string {
  const meant = nearest(name, supported);
  if (meant !== undefined) return `did you mean "${meant}"?`;
  if (/[.:]/.test(name)) return 'if it is a zone, every server block of the file needs braces';
  return `nodens has ${[...supported].sort().join(', ')}`;
}
