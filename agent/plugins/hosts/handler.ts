import { DnsError } from '../../base/errors.ts';
import { CLASS, EDE, RCODE, TYPE } from '../../dns/iana.ts';
import { isSubdomain } from '../../dns/name.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import type { HostsAnswers } from './answers.ts';

/** What hosts answers, and what it passes on. */
export interface HostsOptions {
  /** Zones, lower-case wire form, that hosts serves. */
  readonly zones: readonly Uint8Array[];
  /** Zones in which an unknown name is passed to the next plugin. */
  readonly fallthrough: readonly Uint8Array[];
  /** Whether a known name falls through as well if the type is neither A nor AAAA. */
  readonly fallthroughUnsupported: boolean;
}

function isIn(zones: readonly Uint8Array[], name: Uint8Array): boolean {
  return zones.some((zone) => isSubdomain(name, zone));
}

/**
 * A known name is answered, possibly with NODATA; an unknown one falls through or gets SERVFAIL: without a SOA an
 * NXDOMAIN would be incorrect (RFC 2308 §3; CoreDNS does the same). PTR questions are answered in every zone and never
 * refused.
 */
export function hostsHandler(options: HostsOptions, answers: () => HostsAnswers) {
  return (query: Query, next: Handler): Result => {
    const { name, type } = query;
    if (query.class !== CLASS.IN) return next(query);
    if (type === TYPE.PTR) return answers().findReverse(query) ?? next(query);
    if (!isIn(options.zones, name)) return next(query);
    const isUnsupported = type !== TYPE.A && type !== TYPE.AAAA;
    const found =
      isUnsupported && options.fallthroughUnsupported && isIn(options.fallthrough, name)
        ? undefined
        : answers().find(query);
    if (found !== undefined) return found;
    if (isIn(options.fallthrough, name)) return next(query);
    throw new DnsError(RCODE.SERVFAIL, 'name is not in hosts, and hosts does not fall through', {
      code: EDE.OTHER,
      text: 'name is not in hosts',
    });
  };
}
