/** What the replies to one question, with EDNS and without, show about the upstream. */
import type { Reply } from '../../dns/reply.ts';
import type { GroupMember } from '../group-member.ts';
import type { PendingQuery } from '../transport/pending-query.ts';
import { isGood, refusesEdns, worthOf } from './worth.ts';

/**
 * Why a query with OPT is sent again without: the upstream refused EDNS explicitly, its reply may be an effect of EDNS,
 * or it did not reply.
 */
export type PlainReason = 'refusal' | 'doubt' | 'silence';

/**
 * Learns from `reply` to a query without OPT; returns whether it is better than `held`, the reply to the query with
 * OPT.
 */
export function learnFromPlain(
  { pending, member }: { readonly pending: PendingQuery; readonly member: GroupMember },
  why: PlainReason,
  reply: Reply,
  held: Reply | undefined,
): boolean {
  const memory = member.upstream.edns[pending.transport];
  const isBetter = brings(why, reply, held);
  if (isBetter) memory.wasFruitful(member.probe);
  else if (why !== 'refusal') memory.wasFruitless(false);
  return isBetter;
}

function brings(why: PlainReason, reply: Reply, held: Reply | undefined): boolean {
  if (why === 'refusal') return !refusesEdns(reply.rcode);
  return held === undefined ? isGood(reply) : worthOf(reply) > worthOf(held);
}
