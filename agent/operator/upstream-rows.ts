/** Upstreams as rows of a table: one for each address. */
import type { UpstreamLine } from './protocol.ts';

/** From the worst. */
const BAD_STATES = ['down', 'suspect', 'slow'];

/**
 * One line for each address. Several blocks may forward to the same one: each has its own state, but the counters are those
 * of the address, so that two rows would be read as twice the queries. `down 1/2`: down for one block of two.
 */
export function upstreamRows(upstreams: readonly UpstreamLine[]): readonly UpstreamLine[] {
  const byAddress = Map.groupBy(upstreams, ({ to }) => to);
  return [...byAddress.values()].map((lines) => {
    const [first] = lines as [UpstreamLine, ...UpstreamLine[]];
    const worst = BAD_STATES.find((bad) => lines.some(({ state }) => state === bad)) ?? 'up';
    const same = lines.filter(({ state }) => state === worst).length;
    const state = same === lines.length ? worst : `${worst} ${same}/${lines.length}`;
    return { ...first, state };
  });
}
