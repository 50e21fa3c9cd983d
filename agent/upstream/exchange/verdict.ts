/** Decides what to do with a reply that could be parsed. */
import type { Reply } from '../../dns/reply.ts';
import { refusesEdns } from '../edns/worth.ts';
import { isUseless } from '../health/usefulness.ts';
import type { Attempt, Plan } from './plan.ts';

/**
 * `plain`: repeat without OPT. `tcp`: repeat over TCP. `elsewhere`: ask another upstream, and use this reply only if
 * there is none better. `take`: it is the answer.
 */
export type Verdict = 'plain' | 'tcp' | 'elsewhere' | 'take';

/**
 * Changes nothing; the exchange carries the verdict out. A refusal of EDNS counts first, then truncation, then the
 * rcode.
 */
export function verdictOf(attempt: Attempt, reply: Reply, plan: Plan): Verdict {
  const { pending, member } = attempt;
  if (pending.edns && refusesEdns(reply.rcode)) return 'plain';
  if (reply.truncated && pending.transport === 'udp' && !member.upstream.isTls) return 'tcp';
  return failsOver(attempt, reply, plan) ? 'elsewhere' : 'take';
}

/**
 * For the Corefile's failover rcodes, and for upstreams that give no useful reply (docs/architecture.md, invariant 6).
 */
function failsOver({ member }: Attempt, { rcode }: Reply, { failoverRcodes }: Plan): boolean {
  return failoverRcodes.includes(rcode) || (member.isSuspect && isUseless(rcode));
}
