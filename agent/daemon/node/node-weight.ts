/** The node's own share: all pods with host network and the node's own programs count as one client. */
import { networkInterfaces } from 'node:os';
import { clientKey } from '../../base/clients/client-key.ts';
import type { Clock } from '../../base/clock.ts';

/** Addresses change while the agent runs. */
const FRESH_MS = 10_000;

/** A client's share as a multiple of a pod's: `nodeShare` for an address of the node, else 1. */
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
