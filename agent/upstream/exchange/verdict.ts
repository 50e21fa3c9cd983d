/** What becomes of a reply that could be read. */
import type { Reply } from '../../dns/reply.ts';
import { refusesEdns } from '../edns/worth.ts';
import { isUseless } from '../health/usefulness.ts';
import type { Attempt, Plan } from './plan.ts';

/**
 * `plain`: asked again without OPT. `tcp`: asked again over TCP. `elsewhere`: another upstream is asked, the reply is
 * better than none. `take`: it is the answer.
 */
export type Verdict = 'plain' | 'tcp' | 'elsewhere' | 'take';

export function verdictOf(attempt: Attempt, reply: Reply, plan: Plan): Verdict {
  const { pending, member } = attempt;
  if (pending.edns && refusesEdns(reply.rcode)) return 'plain';
  if (reply.truncated && pending.transport === 'udp' && !member.upstream.isTls) return 'tcp';
  return failsOver(attempt, reply, plan) ? 'elsewhere' : 'take';
}

/** Where the Corefile says so, and where an upstream gives nothing else (docs/architecture.md, invariant 6). */
function failsOver({ member }: Attempt, { rcode }: Reply, { failoverRcodes }: Plan): boolean {
  return failoverRcodes.includes(rcode) || (member.isSuspect && isUseless(rcode));
}
