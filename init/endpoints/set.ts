/** Endpoints of kube-dns by transport, as data; comparison of two such sets. */
import { type Endpoint, type Family, familyOf, formatEndpoint } from '../../agent/base/address.ts';

/** In order and without doubles, so that the same endpoints make the same rules. */
export interface Endpoints {
  readonly udp: readonly Endpoint[];
  readonly tcp: readonly Endpoint[];
}

/** Keys of `Endpoints`. */
export const TRANSPORTS = ['udp', 'tcp'] as const;

/** Where the endpoints are not known, or must not be used. */
export const NO_ENDPOINTS: Endpoints = { udp: [], tcp: [] };

/** For each family and transport; more endpoints would not spread one node's load better. */
const MAX_ENDPOINTS = 32;

/** `found` in order, without doubles, at most `MAX_ENDPOINTS` of a family. */
export function tidied(found: Endpoints): Endpoints {
  return { udp: tidiedList(found.udp), tcp: tidiedList(found.tcp) };
}

function tidiedList(list: readonly Endpoint[]): Endpoint[] {
  const byText = new Map(list.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
  const sorted = [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
  return ([4, 6] as const).flatMap((family) =>
    sorted.filter(({ address }) => familyOf(address) === family).slice(0, MAX_ENDPOINTS),
  );
}

/** Those of `family`. */
export function ofFamily({ udp, tcp }: Endpoints, family: Family): Endpoints {
  const of = (list: readonly Endpoint[]): Endpoint[] =>
    list.filter(({ address }) => familyOf(address) === family);
  return { udp: of(udp), tcp: of(tcp) };
}

/** Those of `before` that `after` lacks. */
export function without(before: Endpoints, after: Endpoints): Endpoints {
  const lacking = (list: readonly Endpoint[], other: readonly Endpoint[]): Endpoint[] => {
    const there = new Set(other.map(formatEndpoint));
    return list.filter((endpoint) => !there.has(formatEndpoint(endpoint)));
  };
  return { udp: lacking(before.udp, after.udp), tcp: lacking(before.tcp, after.tcp) };
}

/** Whether both have the same endpoints for each transport; order does not matter. */
export function areSame(a: Endpoints, b: Endpoints): boolean {
  return isNone(without(a, b)) && isNone(without(b, a));
}

/** Whether there is no endpoint for either transport. */
export function isNone({ udp, tcp }: Endpoints): boolean {
  return udp.length + tcp.length === 0;
}

/** For people: `10.2.0.2:53` for both transports, `tcp 10.2.0.2:1053` for one of them. */
export function endpointTexts({ udp, tcp }: Endpoints): string[] {
  const [udps, tcps] = [udp.map(formatEndpoint), tcp.map(formatEndpoint)];
  return [
    ...udps.map((text) => (tcps.includes(text) ? text : `udp ${text}`)),
    ...tcps.filter((text) => !udps.includes(text)).map((text) => `tcp ${text}`),
  ];
}
