/** The share of the node itself: all pods with host network, and the node's own programs, are one client to the agent. */
import { networkInterfaces } from 'node:os';
import { clientKey } from '../../base/clients/client-key.ts';
import type { Clock } from '../../base/clock.ts';

/** Addresses come and go while the agent runs. */
const FRESH_MS = 10_000;

/** How many times a pod's share a client may hold: `nodeShare` for an address of the node, else 1. */
export function nodeWeight(nodeShare: number, clock: Clock): (key: string) => number {
  let keys: ReadonlySet<string> = new Set();
  let readMs = Number.NEGATIVE_INFINITY;
  return (key) => {
    const nowMs = clock.nowMs();
    if (nowMs - readMs > FRESH_MS) {
      keys = nodeKeys();
      readMs = nowMs;
    }
    return keys.has(key) ? nodeShare : 1;
  };
}

function nodeKeys(): Set<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list);
  return new Set(addresses.map(({ address }) => clientKey(address)));
}
