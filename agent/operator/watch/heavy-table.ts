/** Which clients or names ask most, within fixed memory. */
import { RCODE } from '../../dns/iana.ts';
import type { HeavyLine } from '../protocol.ts';
import type { SeenQuery } from './query-watch.ts';

interface Counts {
  queries: number;
  hits: number;
  nxdomain: number;
  failures: number;
}

/** Keys counted at most; a flood of new ones replaces those that were seen least. */
const MAX_KEYS = 1_024;

/** Counts by key, since it was last taken. */
export class HeavyTable {
  readonly #counts = new Map<string, Counts>();

  /** Counts `seen` for `key`, as `weight` queries. */
  add(key: string, seen: SeenQuery, weight: number): void {
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      if (this.#counts.size >= MAX_KEYS) this.#thinOut();
      counts = { queries: 0, hits: 0, nxdomain: 0, failures: 0 };
      this.#counts.set(key, counts);
    }
    counts.queries += weight;
    const { source, rcode } = seen;
    if (source === 'hit' || source === 'stale') counts.hits += weight;
    if (rcode === RCODE.NXDOMAIN) counts.nxdomain += weight;
    if (source === 'failure') counts.failures += weight;
  }

  /** The heaviest `count` keys, heaviest first; begins anew. */
  take(count: number): HeavyLine[] {
    const heaviest: [string, Counts][] = [];
    for (const entry of this.#counts) {
      const least = heaviest[count - 1]?.[1].queries ?? 0;
      if (entry[1].queries > least) insert(heaviest, entry, count);
    }
    this.#counts.clear();
    return heaviest.map(([key, counts]) => ({ key, ...counts }));
  }

  /** Keeps the heavier half: a key that asks all the time is among it. */
  #thinOut(): void {
    const heavy = [...this.#counts].sort(([, a], [, b]) => b.queries - a.queries);
    for (const [key] of heavy.slice(MAX_KEYS / 2)) this.#counts.delete(key);
  }
}

/** Adds `entry` to the `count` heaviest. To sort all keys for a few of them would delay answers. */
function insert(heaviest: [string, Counts][], entry: [string, Counts], count: number): void {
  const { queries } = entry[1];
  let at = heaviest.length;
  while (at > 0 && (heaviest[at - 1] as [string, Counts])[1].queries < queries) at--;
  heaviest.splice(at, 0, entry);
  if (heaviest.length > count) heaviest.pop();
}
