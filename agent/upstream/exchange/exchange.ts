/**
 * One question with one deadline. Upstreams are tried in order. A slow attempt continues while the next one begins, and
 * the first good reply wins. An attempt that takes longer than most is hedged, within a budget: the same question is
 * sent elsewhere. Truncated replies are asked again over TCP, possible effects of EDNS again without it
 * (`edns/memory.ts`).
 */

import type { ClientShare, Holding } from '../../base/clients/memory-ledger.ts';
import { DnsError, GAVE_WAY } from '../../base/errors.ts';
import { acceptReply } from '../../dns/reply/accept.ts';
import type { Reply } from '../../dns/reply.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamReply } from '../../query/services/upstreams.ts';
import { learnFromPlain, type PlainReason } from '../edns/learn.ts';
import { isGood } from '../edns/worth.ts';
import type { Failure } from '../transport/failure.ts';
import { isLack } from '../transport/failure.ts';
import { isTruncated, isUnproven } from '../transport/match.ts';
import { CLOSED, type PendingQuery, type PendingQueryOwner } from '../transport/pending-query.ts';
import { type Expiring, NOT_WAITING } from '../transport/timer-wheel.ts';
import { seenAttempt, unanswered } from './outcome.ts';
import {
  type Attempt,
  type ExchangeContext,
  isHopeless,
  type Plan,
  WAITING_QUERY_BYTES,
} from './plan.ts';
import { Race } from './race.ts';
import { Troubles } from './troubles.ts';
import { type Verdict, verdictOf } from './verdict.ts';

/** Pause before an upstream that failed at once is tried again, milliseconds. */
const RETRY_PAUSE_MS = 50;
/** How often an overdue exchange checks whether waiting still makes sense, milliseconds. */
const LOOK_MS = 200;

/** Used once: `start` begins it, and `reply` settles at the deadline at the latest, within a tick of the timers. */
export class Exchange implements PendingQueryOwner, Expiring, Holding {
  readonly kind = 'query';
  heldBytes = WAITING_QUERY_BYTES;
  isHeld = false;
  older: Holding | undefined;
  newer: Holding | undefined;
  readonly lane: object;
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  readonly #context: ExchangeContext;
  readonly #plan: Plan;
  /** Rejects with DnsError. */
  readonly reply: Promise<UpstreamReply>;
  #resolve!: (reply: UpstreamReply) => void;
  #reject!: (error: DnsError) => void;
  readonly #onEnd: () => void;
  readonly #deadlineMs: number;
  readonly #share: ClientShare;
  readonly #race: Race;
  #isLate = false;
  #isDone = false;
  /** Better than no reply: a truncated one, or one with an rcode to fail over from. */
  #secondBest: UpstreamReply | undefined;
  #troubles: Troubles | undefined;
  /** A query is repeated without OPT only once. */
  #hasTriedPlain = false;
  /** The reply to the attempt with OPT, while the query is repeated without. */
  #held: { readonly attempt: Attempt; readonly reply: Reply } | undefined;

  /** `share` is the client's. `onEnd` is called once, later or during `start`. */
  constructor(context: ExchangeContext, plan: Plan, share: ClientShare, onEnd: () => void) {
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#onEnd = onEnd;
    this.#context = context;
    this.#plan = plan;
    this.lane = plan.lane;
    this.#deadlineMs = context.clock.nowMs() + plan.budgetMs;
    this.#race = new Race(plan, this);
    this.#share = share;
  }

  /** If the client's share has no room, the exchange may end during this call with GAVE_WAY. */
  start(): void {
    this.#share.add(this);
    if (this.#isDone) return;
    this.#race.start(this.#context.clock.nowMs());
    this.#schedule();
  }

  onReply(pending: PendingQuery, message: Buffer): void {
    const attempt = this.#race.take(pending, message);
    if (attempt === undefined) return;
    const { metrics } = attempt.member.upstream;
    if (isUnproven(message, pending.randomizedName)) {
      metrics.mismatched('question');
      this.#again(attempt, 'tcp', pending.edns, attempt.plainFor);
      return;
    }
    const reply = acceptReply(message, pending.question, pending.randomizedName);
    this.#show(attempt, typeof reply === 'string' ? reply : reply.rcode);
    if (typeof reply !== 'string') {
      attempt.member.answered(pending, reply.rcode, this.#context.clock.nowMs() - pending.sentMs);
      this.#compare(attempt, reply);
    } else if (pending.transport === 'udp' && isTruncated(message)) {
      // Some servers truncate in the middle of a record.
      this.#again(attempt, 'tcp', pending.edns, attempt.plainFor);
    } else {
      // The question matched, so this is the upstream's reply; no better one will come.
      metrics.mismatched(reply);
      const mayBeEdns = reply === 'malformed';
      this.#failed(attempt, { phase: 'match', errno: 'EBADMSG', mayBeEdns });
    }
  }

  onFailure(pending: PendingQuery, failure: Failure): void {
    const attempt = this.#race.take(pending);
    if (attempt !== undefined) this.#failed(attempt, failure);
  }

  /** Ends the exchange at once, to make room for other clients' queries. */
  giveWay(): void {
    this.#finish(GAVE_WAY);
  }

  onDeadline(): void {
    const nowMs = this.#context.clock.nowMs();
    this.#blameOverdue(nowMs);
    if (this.#isDone) return;
    if (this.#isLate) this.#race.stillLate();
    if (nowMs >= this.#deadlineMs || isHopeless(this.#plan)) this.#giveUp();
    else this.#race.run(nowMs);
    this.#schedule();
  }

  /** Learns whether the upstream accepts EDNS. */
  #compare(attempt: Attempt, reply: Reply): void {
    const { pending, member, plainFor } = attempt;
    if (plainFor === undefined) {
      if (pending.edns && isGood(reply)) member.upstream.edns[pending.transport].liked();
      this.#judge(attempt, reply);
      return;
    }
    const held = this.#held;
    this.#held = undefined;
    const isBetter = learnFromPlain(attempt, plainFor, reply, held?.reply);
    // If the reply with EDNS was as good, it came first and counts.
    if (held !== undefined && !isBetter) this.#judge(held.attempt, held.reply);
    else this.#judge(attempt, reply);
  }

  #judge(attempt: Attempt, reply: Reply): void {
    const { pending, member } = attempt;
    const { upstream } = member;
    const verdict = verdictOf(attempt, reply, this.#plan);
    if (verdict === 'plain') {
      this.#again(attempt, pending.transport, false, 'refusal');
      return;
    }
    const outcome = { reply, upstream: upstream.name, transport: pending.transport };
    if (verdict === 'tcp') {
      this.#secondBest = outcome;
      this.#again(attempt, 'tcp', pending.edns, undefined);
    } else if (this.#isLastWord(verdict, reply) && this.#tryPlain(attempt, 'doubt', reply)) {
      this.#secondBest ??= outcome;
    } else if (verdict === 'elsewhere') {
      this.#secondBest = outcome;
      this.#failOver();
    } else {
      this.#learnTransport(attempt);
      if (pending.purpose === 'hedge') upstream.metrics.hedged('won');
      this.#finish(outcome);
    }
  }

  /** Whether `reply` is poor, but no other upstream is left to ask. */
  #isLastWord(verdict: Verdict, reply: Reply): boolean {
    return !isGood(reply) && (verdict !== 'elsewhere' || !this.#race.hasFresh);
  }

  /** Repeats the query without OPT if OPT may be the problem; keeps `reply` to the query with it. */
  #tryPlain(attempt: Attempt, why: PlainReason, reply?: Reply): boolean {
    const { pending, member } = attempt;
    if (!pending.edns || this.#hasTriedPlain) return false;
    if (!member.upstream.edns[pending.transport].disliked()) return false;
    this.#hasTriedPlain = true;
    if (reply !== undefined) this.#held = { attempt, reply };
    this.#again(attempt, pending.transport, false, why);
    return true;
  }

  /** The repeat without OPT failed: the reply to the query with OPT counts. Returns whether there was one. */
  #endTry({ pending, member, plainFor }: Attempt): boolean {
    if (plainFor === undefined || plainFor === 'refusal') return false;
    member.upstream.edns[pending.transport].wasFruitless(true);
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#judge(held.attempt, held.reply);
    return held !== undefined;
  }

  #again(
    attempt: Attempt,
    transport: Transport,
    edns: boolean,
    plainFor: PlainReason | undefined,
  ): void {
    this.#race.again(attempt, transport, edns, plainFor, this.#context.clock.nowMs());
    this.#schedule();
  }

  /** Asks the remaining upstreams once each; then the last reply counts. */
  #failOver(): void {
    if (this.#race.hasFresh) this.#race.tryNext(this.#context.clock.nowMs());
    else if (this.#race.waiting.length === 0) this.#giveUp();
    this.#schedule();
  }

  #learnTransport({ pending, member }: Attempt): void {
    const { transport } = this.#plan;
    if (pending.transport === transport) member.upstream.tookWay(transport);
    else if (this.#troubles?.isUnresponsive(member) === true)
      member.upstream.fellBack(pending.transport);
  }

  #failed(attempt: Attempt, failure: Failure): void {
    attempt.member.failed(attempt.pending, failure);
    this.#note(attempt, failure);
    if (!attempt.isOverdue && this.#endTry(attempt)) return;
    const race = this.#race;
    const isFirstChoice = attempt.pending.transport === this.#plan.transport;
    if (failure.phase === 'connect' && isFirstChoice && !isLack(failure)) race.forgiveDial();
    const nowMs = this.#context.clock.nowMs();
    const isOver = !race.mayTry && race.waiting.length === 0;
    if (failure.errno === CLOSED) this.#giveUp();
    else if (race.hasFresh) race.tryNext(nowMs);
    else if (failure.mayBeEdns === true && this.#tryPlain(attempt, 'silence')) return;
    else if (isOver) this.#giveUp();
    else if (race.mayTry) race.tryBy(nowMs + RETRY_PAUSE_MS);
    this.#schedule();
  }

  /** An overdue upstream becomes suspect, unless it may have rejected EDNS. */
  #blameOverdue(nowMs: number): void {
    const attempt = this.#race.takeOverdue(nowMs);
    if (attempt === undefined) return;
    this.#isLate = true;
    const failure = { phase: attempt.pending.phase, errno: 'ETIMEDOUT' };
    attempt.member.failed(attempt.pending, failure);
    this.#note(attempt, failure);
    // EDNS is not the reason if the query has not been sent, if the connection has answered some queries and is then
    // silent (half open), or if the deadline has passed.
    const isProven = attempt.pending.connection?.isProven === true;
    const mayBeEdns = failure.phase === 'wait' && !isProven && nowMs < this.#deadlineMs;
    if (!this.#endTry(attempt) && mayBeEdns) this.#tryPlain(attempt, 'silence');
    if (!this.#isDone) this.#blameOverdue(nowMs);
  }

  #note(attempt: Attempt, failure: Failure): void {
    this.#show(attempt, failure.errno);
    const { pending, member } = attempt;
    const afterMs = this.#context.clock.nowMs() - pending.sentMs;
    this.#troubles ??= new Troubles(this.#plan.transport);
    this.#troubles.note(member, pending.transport, failure, afterMs);
  }

  /** `outcome` is an rcode or a failure. */
  #show(attempt: Attempt, outcome: number | string): void {
    this.#context.attempts?.seen?.(seenAttempt(attempt, outcome, this.#context.clock.nowMs()));
  }

  #schedule(): void {
    if (this.#isDone) return;
    const { clock, timers } = this.#context;
    const lookMs = this.#isLate ? clock.nowMs() + LOOK_MS : this.#deadlineMs;
    timers.set(this, Math.min(this.#race.dueMs, lookMs, this.#deadlineMs));
  }

  #giveUp(): void {
    const [slow] = this.#race.waiting;
    if (this.#troubles === undefined && slow !== undefined)
      this.#note(slow, { phase: slow.pending.phase, errno: 'ETIMEDOUT' });
    this.#finish(this.#secondBest ?? unanswered(this.#troubles?.last, this.#race.attempts));
  }

  #finish(outcome: UpstreamReply | DnsError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#share.remove(this);
    this.#context.timers.clear(this);
    this.#race.abandon();
    if (outcome instanceof DnsError) this.#reject(outcome);
    else this.#resolve(outcome);
    this.#onEnd();
  }
}
