/** What one exchange is to do, and one attempt of it. */

import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { PlainReason } from '../edns/learn.ts';
import type { GroupMember } from '../group-member.ts';
import type { HedgeBudget } from '../hedge-budget.ts';
import type { PendingQuery } from '../transport/pending-query.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';

export interface Plan {
  readonly question: UpstreamQuestion;
  /** The group that is asked; a client's queries to one group give way before those to another. */
  readonly lane: object;
  readonly budgetMs: number;
  /** In the order in which they are tried; not empty. */
  readonly members: readonly GroupMember[];
  /** Attempts at most; hedges and repeats for TC and without OPT aside. */
  readonly maxAttempts: number;
  /** Attempts more where a connection could not be made: another endpoint of the Service may take the next. */
  readonly extraDials: number;
  /** Whether this query tests an upstream that is down. */
  readonly isTrial: boolean;
  readonly transport: Transport;
  /** When a second try at the same upstream may use the other transport; `unopened`: where no connection opens. */
  readonly mayChangeTransport: 'always' | 'unopened';
  readonly failoverRcodes: readonly number[];
  /** Undefined: no hedging. */
  readonly hedges: HedgeBudget | undefined;
}

export interface ExchangeContext {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly ledger: MemoryLedger;
}

export interface Attempt {
  readonly pending: PendingQuery;
  readonly member: GroupMember;
  /** Set where the same was asked with an OPT before. */
  readonly plainFor: PlainReason | undefined;
  /** When a reply should have come, clock milliseconds. */
  readonly dueMs: number;
  isOverdue: boolean;
}

/** What a query costs that waits for an upstream: itself, its promises, its place in maps, its end as garbage; measured. */
export const WAITING_QUERY_BYTES = 12 * 1_024;

/** How `member` is asked in its `round`th turn; every second one over the other transport, where that may be. */
export function transportOf(
  { transport: wanted, mayChangeTransport }: Plan,
  { upstream }: GroupMember,
  round: number,
): Transport {
  const transport = upstream.transportFor(wanted);
  if (upstream.isTls || round % 2 === 0) return transport;
  if (mayChangeTransport === 'unopened' && upstream.hasOpenConnection) return transport;
  return transport === 'udp' ? 'tcp' : 'udp';
}

/** Whether every member that is to be asked is known as down by now. */
export function isHopeless({ members, isTrial }: Plan): boolean {
  return !isTrial && members.every((member) => member.isDown);
}
