/** Reads from the node all that decides which rules exist, besides interception. */
import type { Firewall } from '../firewall/select.ts';
import type { RuleState } from '../plan/desired-rules.ts';
import type { FallbackReadiness } from './fallback-readiness.ts';
import type { KeptIps } from './kept-ips.ts';

/** What knows the node's state, by its part. */
export interface RuleStateSources {
  readonly firewall: Pick<Firewall, 'hasTcpAffinity' | 'hasFallback'> | undefined;
  readonly fallback: Pick<FallbackReadiness, 'look'>;
  readonly kept: Pick<KeptIps, 'look'>;
}

/** Rejects where the kernel cannot be read. */
export async function lookAtNode({
  firewall,
  fallback,
  kept,
}: RuleStateSources): Promise<Omit<RuleState, 'interception'>> {
  return {
    hasTcpAffinity: firewall?.hasTcpAffinity === true,
    hasFallback: firewall?.hasFallback === true,
    ...(await fallback.look()),
    ...(await kept.look()),
  };
}
