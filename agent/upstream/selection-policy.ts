/** The order in which a group's upstreams are tried for one query. */
import type { Policy } from '../query/services/upstreams.ts';

/** What the order depends on besides the policy. */
export interface Candidate {
  /** More probes in a row have failed than the group allows. */
  readonly isDown: boolean;
  /** It is probed after a fault. */
  readonly isSuspect: boolean;
}

/** Orders candidates; one instance per group, because round_robin has state. */
export class SelectionPolicy<T extends Candidate> {
  readonly #policy: Policy;
  readonly #random: () => number;
  #turn = 0;

  constructor(policy: Policy, random: () => number) {
    this.#policy = policy;
    this.#random = random;
  }

  /** Candidates that are up, in the order of the policy, suspects last; empty if all are down. */
  of(candidates: readonly T[]): readonly T[] {
    const [only] = candidates;
    if (candidates.length === 1 && only !== undefined) return only.isDown ? [] : candidates;
    const up = candidates.filter(({ isDown }) => !isDown);
    const turned = rotate(up, this.#first(up.length));
    if (!turned.some(({ isSuspect }) => isSuspect)) return turned;
    return [
      ...turned.filter(({ isSuspect }) => !isSuspect),
      ...turned.filter(({ isSuspect }) => isSuspect),
    ];
  }

  #first(count: number): number {
    if (this.#policy === 'sequential' || count === 0) return 0;
    if (this.#policy === 'random') return Math.floor(this.#random() * count);
    // CoreDNS counts before it chooses, so the first query goes to the second upstream.
    this.#turn = (this.#turn + 1) % count;
    return this.#turn;
  }
}

function rotate<T>(items: readonly T[], first: number): readonly T[] {
  return first === 0 ? items : [...items.slice(first), ...items.slice(0, first)];
}
