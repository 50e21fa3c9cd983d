/** The node's current addresses. */
import { networkInterfaces } from 'node:os';

/** By interface name; v6 link-local addresses include their `%zone`. */
export function nodeInterfaces(): ReadonlyMap<string, readonly string[]> {
  return new Map(
    Object.entries(networkInterfaces()).map(([name, addresses = []]) => [
      name,
      addresses.map(({ address, scopeid }) =>
        scopeid !== undefined && scopeid !== 0 ? `${address}%${name}` : address,
      ),
    ]),
  );
}

/** Addresses of all interfaces. */
export function nodeAddresses(): readonly string[] {
  return [...new Set([...nodeInterfaces().values()].flat())];
}
