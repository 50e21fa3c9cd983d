/** The order of the records of a run, as a list of indexes into `run.offsets`. */
import { type Cidr, cidrContains } from '../../base/address.ts';
import { TYPE } from '../../dns/iana.ts';
import { byteKey, lowerName, readName } from '../../dns/name.ts';
import { FIXED_BYTES, type Run } from './runs.ts';
import { addressKey, type Weights } from './weights.ts';

/** Reorders the records of `run` in place: `order` is initially 0, 1, 2, … */
export type Policy = (order: number[], wire: Uint8Array, run: Run) => void;

function swap(order: number[], a: number, b: number): void {
  const kept = order[a] as number;
  order[a] = order[b] as number;
  order[b] = kept;
}

/** Every order equally likely (Fisher and Yates). */
export function roundRobin(random: () => number): Policy {
  return (order) => {
    for (let i = order.length - 1; i > 0; i--) swap(order, i, Math.floor(random() * (i + 1)));
  };
}

/** Address bytes of the record with this index in `run`. */
function addressAt(wire: Uint8Array, run: Run, index: number): Uint8Array {
  const offset = run.offsets[index] as number;
  return wire.subarray(offset + FIXED_BYTES, offset + run.bytes);
}

/**
 * One address comes first, with a probability by its weight; the others keep their order. Addresses not listed have
 * weight 1.
 */
export function weighted(weights: () => Weights, random: () => number): Policy {
  return (order, wire, run) => {
    if (run.type === TYPE.MX) return;
    const owner = readName(wire, run.ownerOffset, wire.length);
    const known = owner && weights().get(byteKey(lowerName(owner)));
    const each = order.map((index) => known?.get(addressKey(addressAt(wire, run, index))) ?? 1);
    let left = random() * each.reduce((sum, weight) => sum + weight, 0);
    const chosen = each.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    swap(order, 0, Math.max(chosen, 0));
  };
}

/** After `policy`, moves addresses in the networks of `prefer` to the front, in the order of the networks. */
export function preferring(policy: Policy, prefer: readonly Cidr[]): Policy {
  return (order, wire, run) => {
    policy(order, wire, run);
    if (run.type === TYPE.MX) return;
    const rank = (index: number): number => {
      const found = prefer.findIndex((cidr) => cidrContains(cidr, addressAt(wire, run, index)));
      return found < 0 ? prefer.length : found;
    };
    order.sort((a, b) => rank(a) - rank(b));
  };
}
