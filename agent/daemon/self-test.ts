/**
 * Proves, before anything is bound, that this agent can answer: with SO_REUSEADDR a bind takes the address away from an
 * agent that works, and interception takes the node's queries away from kube-dns (design §7, order).
 */
import { type Clock, sleep } from '../base/clock.ts';
import type { Corefile } from '../config/corefile/types.ts';
import { RCODE, TYPE } from '../dns/iana.ts';
import { nameFromText } from '../dns/name.ts';
import type { Logger, ServerLabel, Services } from '../query/services.ts';

/** Between rounds: long enough that a failure remembered by the cache is forgotten. */
const ROUND_MS = 1_100;

export interface SelfTestParts {
  readonly resolve: Services['resolve'];
  /** The listeners to be; not every one serves every zone. */
  readonly servers: readonly ServerLabel[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly isStopping: () => boolean;
}

/**
 * Zones whose upstream has to answer. Those of the cluster where there are any: what kube-dns can answer must not be
 * taken from it. An internet that is unreachable is so for kube-dns, too, and no reason to stay away.
 */
export function zonesToProve(corefile: Corefile): string[] {
  const zones = corefile.blocks
    .filter((block) => block.directives.some(({ name }) => name === 'forward'))
    .flatMap((block) => block.keys.map(({ zone }) => zone));
  const cluster = zones.filter((zone) => zone !== '.');
  return [...new Set(cluster.length > 0 ? cluster : zones)];
}

/** Resolves when one of `zones` has been answered for from upstream, at once where there is none; or when stopping. */
export async function proveUpstreams(
  zones: readonly string[],
  parts: SelfTestParts,
): Promise<void> {
  if (zones.length === 0) return;
  while (!parts.isStopping()) {
    const answered = await Promise.all(zones.map((zone) => answers(zone, parts)));
    if (answered.some(Boolean)) return;
    const fields = { event: 'self-test', zones };
    parts.log.warn(fields, 'no upstream answers yet: not listening, kube-dns serves the node');
    await sleep(parts.clock, ROUND_MS);
  }
}

async function answers(zone: string, { resolve, servers }: SelfTestParts): Promise<boolean> {
  const name = nameFromText(zone);
  for (const server of servers) {
    const question = { name, type: TYPE.SOA, dnssecOk: false, checkingDisabled: false, server };
    const { rcode } = await resolve(question);
    if (rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED) return true;
  }
  return false;
}
