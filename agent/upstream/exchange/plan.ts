/** The plan of one exchange, and its attempts. */

import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { PlainReason } from '../edns/learn.ts';
import type { GroupMember } from '../group-member.ts';
import type { HedgeBudget } from '../hedge-budget.ts';
import type { PendingQuery } from '../transport/pending-query.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { AttemptWatch } from './attempt-watch.ts';

/** Made by the group when a question arrives; it does not change while the exchange runs. */
export interface Plan {
  readonly question: UpstreamQuestion;
  /** The group that is asked; each client's queries to one group give way to each other first. */
  readonly lane: object;
  readonly budgetMs: number;
  /** In the order of attempts; not empty. */
  readonly members: readonly GroupMember[];
  /** Maximum attempts, not counting hedges and repeats for TC or without OPT. */
  readonly maxAttempts: number;
  /** Extra attempts after failed connections: another endpoint of the Service may accept the next. */
  readonly extraDials: number;
  /** Whether this query tests an upstream that is down. */
  readonly isTrial: boolean;
  readonly transport: Transport;
  /** When a second attempt at the same upstream may use the other transport; `unopened`: if no connection opens. */
  readonly mayChangeTransport: 'always' | 'unopened';
  readonly failoverRcodes: readonly number[];
  /** Undefined: no hedging. */
  readonly hedges: HedgeBudget | undefined;
}

/** What all exchanges of the process share. */
export interface ExchangeContext {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly ledger: MemoryLedger;
  /** Shows attempts to an operator. */
  readonly attempts?: AttemptWatch;
}

/** One query to one member. A hedge, a repeat over TCP and a repeat without OPT are attempts of their own. */
export interface Attempt {
  readonly pending: PendingQuery;
  readonly member: GroupMember;
  /** Set for a repeat of a query that had an OPT. */
  readonly plainFor: PlainReason | undefined;
  /** When the reply is overdue, clock milliseconds. */
  readonly dueMs: number;
  isOverdue: boolean;
}

/** Memory of a query that waits for an upstream: itself, promises, map entries, uncollected garbage; measured. */
export const WAITING_QUERY_BYTES = 12 * 1_024;

/** The transport for `member` in its `round`th turn: every second turn uses the other transport, if allowed. */
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

/** Whether every member to be asked is known to be down. */
export function isHopeless({ members, isTrial }: Plan): boolean {
  return !isTrial && members.every((member) => member.isDown);
}
