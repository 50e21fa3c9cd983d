/** The IPv6 networks of this node: mostly those of its pods, and of its links. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { ipv6Bytes } from '../../base/address.ts';
import { NETWORK_BYTES, setOwnNetworks } from '../../base/clients/client-key.ts';
import type { Clock, Timer } from '../../base/clock.ts';

/** The kernel's IPv6 routes, in hex: destination, prefix length, source, its length, next hop, metric, …, device. */
const ROUTES = '/proc/net/ipv6_route';
/** Pods, links and routes change while the agent runs. */
const FRESH_MS = 10_000;
const NO_HOP = '0'.repeat(32);
const MIN_PREFIX = 64;

/** Keeps `clientKey` up to date from now on. */
export function watchOwnNetworks(clock: Clock): Timer {
  const look = (): void => {
    const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list);
    const own = addresses.map(({ address }) => address);
    setOwnNetworks(ownNetworks(own, routes()));
  };
  look();
  return clock.every(FRESH_MS, look);
}

/** Empty without IPv6. */
function routes(): string {
  try {
    return readFileSync(ROUTES, 'latin1');
  } catch {
    return '';
  }
}

/**
 * The /64s of the node's own `addresses`, and those to which the kernel has a direct route by link: a network plugin
 * that gives the node no address in the pods' network has at least one such route. The first eight bytes of each.
 */
export function ownNetworks(addresses: readonly string[], routeTable: string): Set<string> {
  const networks = new Set<string>();
  for (const address of addresses) {
    const plain = address.split('%', 1)[0] ?? '';
    if (plain.includes(':')) networks.add(networkOf(Buffer.from(ipv6Bytes(plain))));
  }
  for (const line of routeTable.split('\n')) {
    const [destination = '', length = '', , , hop] = line.trim().split(/\s+/);
    if (hop === NO_HOP && Number.parseInt(length, 16) >= MIN_PREFIX)
      networks.add(networkOf(Buffer.from(destination, 'hex')));
  }
  return networks;
}

function networkOf(bytes: Buffer): string {
  return bytes.latin1Slice(0, NETWORK_BYTES);
}
