/** The node's addresses as they are now. */
import { networkInterfaces } from 'node:os';

/** By interface name; v6 link-local ones carry their `%zone`. */
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

/** All of them. */
export function nodeAddresses(): readonly string[] {
  return [...new Set([...nodeInterfaces().values()].flat())];
}
