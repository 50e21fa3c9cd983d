/**
 * Decides which sockets serve the listeners of a configuration, and which listeners each socket serves. Opens nothing.
 *
 * A listener is an address and a port as a Corefile names them. The address may be '' (no `bind`), `0.0.0.0` or `::`:
 * every address at any time, of both families, as in CoreDNS. If several listeners include an address, the most
 * specific gets it: that address itself, then the wildcard of its family, then '', then the other wildcard.
 */
import { type Endpoint, type Family, familyOf, formatEndpoint } from '../../base/address.ts';

/** One UDP and one TCP socket to open. */
export interface Place {
  /** Their address and port. */
  readonly at: Endpoint;
  /** The listener whose label and zones they have. */
  readonly listener: Endpoint;
}

const ANY = { 4: '0.0.0.0', 6: '::' } as const;

/** Whether a listener of `address` means every address. */
export function isEveryAddress(address: string): boolean {
  return address === '' || address === ANY[4] || address === ANY[6];
}

/** Wildcards that include an address of `family`, the most specific first. */
function wildcardsFor(family: Family): readonly string[] {
  return [ANY[family], '', ANY[family === 4 ? 6 : 4]];
}

/**
 * Sockets for `listeners`. `intercepted` endpoints get their own sockets beside a wildcard that includes them: init's
 * rules send packets only to such sockets (a wildcard's may belong to another server).
 */
export function placesOf(
  listeners: readonly Endpoint[],
  intercepted: readonly Endpoint[] = [],
): Place[] {
  const named = new Map(listeners.map((listener) => [formatEndpoint(listener), listener]));
  const wildcardOf = (family: Family, port: number): Endpoint | undefined => {
    const keys = wildcardsFor(family).map((address) => formatEndpoint({ address, port }));
    return keys.map((key) => named.get(key)).find((listener) => listener !== undefined);
  };
  const places = new Map<string, Place>();
  const put = (at: Endpoint, listener: Endpoint | undefined): void => {
    const key = formatEndpoint(at);
    if (listener !== undefined && !places.has(key)) places.set(key, { at, listener });
  };
  const [wild, specific] = [true, false].map((isWild) =>
    [...named.values()].filter(({ address }) => isEveryAddress(address) === isWild),
  ) as [Endpoint[], Endpoint[]];
  for (const listener of specific) put(listener, listener);
  for (const { address, port } of intercepted)
    put({ address, port }, wildcardOf(familyOf(address) ?? 4, port));
  for (const { port } of wild)
    for (const family of [4, 6] as const)
      put({ address: ANY[family], port }, wildcardOf(family, port));
  return [...places.values()];
}

/** Those of `listeners` whose zones `listener` serves after its own; the most specific first. */
export function behind(listener: Endpoint, listeners: readonly Endpoint[]): Endpoint[] {
  const { address, port } = listener;
  const order =
    address === '' ? [ANY[4], ANY[6]] : wildcardsFor(familyOf(address.split('%', 1)[0] ?? '') ?? 4);
  return order
    .filter((wildcard) => wildcard !== address)
    .flatMap((wildcard) =>
      listeners.filter((other) => other.address === wildcard && other.port === port),
    );
}
