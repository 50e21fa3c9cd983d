/** What the answers to one question, with EDNS and without, teach. */
import type { Reply } from '../../dns/reply.ts';
import type { GroupMember } from '../group-member.ts';
import type { PendingQuery } from '../transport/pending-query.ts';
import { isGood, refusesEdns, worthOf } from './worth.ts';

/**
 * Why a query that had an OPT is asked again without: it was refused in so many words, it was answered by what may be
 * because of it, or it was not answered.
 */
export type PlainReason = 'refusal' | 'doubt' | 'silence';

/** Learns from `reply` to a query without OPT; whether it brings more than `held`, the reply to the one with. */
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
