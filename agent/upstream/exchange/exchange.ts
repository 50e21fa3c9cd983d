/**
 * One question and its one deadline. Upstreams are tried in order; an attempt that stays unanswered is left to run
 * while the next one begins, and the first good reply wins. One that takes longer than most is hedged: asked a second
 * time elsewhere, within a budget. Truncated replies are asked again over TCP, a FORMERR to EDNS again without it
 * (RFC 6891 §7).
 */
import { type DnsError, GAVE_WAY, type NetworkError } from '../../base/errors.ts';
import { type ClientShare, type Holding, OWN_KEY } from '../../base/memory-ledger.ts';
import { acceptReply } from '../../dns/reply/accept.ts';
import type { Reply } from '../../dns/reply.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamReply } from '../../query/services.ts';
import { type Expiring, NOT_WAITING } from '../deadlines.ts';
import { CLOSED, Flight, type FlightOwner } from '../flight.ts';
import { isTruncated, isUnproven } from '../match.ts';
import type { Member } from '../member.ts';
import type { Failure } from '../ports.ts';
import {
  type Attempts,
  abandonAll,
  attemptOf,
  NO_ATTEMPTS,
  withAttempt,
  withoutAttempt,
} from './attempts.ts';
import { failureOf, unanswered } from './outcome.ts';
import {
  type Attempt,
  type ExchangeContext,
  isHopeless,
  type Plan,
  type Settle,
  transportOf,
  WAITING_QUERY_BYTES,
  type Way,
} from './plan.ts';
import { refusesEdns, verdictOf } from './verdict.ts';

/** Before an upstream that failed at once is tried again, milliseconds. */
const RETRY_PAUSE_MS = 50;
/** How often an exchange that is late looks whether waiting is still of use, milliseconds. */
const LOOK_MS = 200;

export class Exchange implements FlightOwner, Expiring, Holding {
  readonly kind = 'query';
  heldBytes = WAITING_QUERY_BYTES;
  readonly lane: object;
  dueTick = NOT_WAITING;
  readonly #context: ExchangeContext;
  readonly #plan: Plan;
  readonly #settle: Settle;
  readonly #deadlineMs: number;
  readonly #share: ClientShare;
  #waiting: Attempts = NO_ATTEMPTS;
  #attempts = 0;
  #maxAttempts: number;
  #extraDials: number;
  /** When the next attempt is due, and when the one under way is hedged. */
  #nextTryMs = Number.POSITIVE_INFINITY;
  #hedgeMs = Number.POSITIVE_INFINITY;
  #isLate = false;
  #isDone = false;
  /** Upstreams that did not answer over the transport they were asked over first. */
  #deaf: Member[] | undefined;
  /** What is better than nothing: a truncated reply, or one with a rcode to fail over from. */
  #fallback: UpstreamReply | undefined;
  #lastFailure: NetworkError | undefined;

  /** `settle` is called once, later or from within `start`. */
  constructor(context: ExchangeContext, plan: Plan, settle: Settle) {
    this.#context = context;
    this.#plan = plan;
    this.lane = plan.lane;
    this.#settle = settle;
    this.#deadlineMs = context.clock.nowMs() + plan.budgetMs;
    this.#maxAttempts = plan.maxAttempts;
    this.#extraDials = plan.extraDials;
    this.#share = context.ledger.share(plan.question.clientKey ?? OWN_KEY);
  }

  start(): void {
    this.#share.add(this);
    if (this.#isDone) return;
    const nowMs = this.#context.clock.nowMs();
    this.#tryNext(nowMs);
    const [first] = this.#waiting;
    if (first !== undefined && this.#plan.hedges !== undefined)
      this.#hedgeMs = nowMs + first.member.target.hedgeMs(first.flight.transport);
    this.#schedule();
  }

  onReply(flight: Flight, message: Buffer): void {
    const attempt = this.#take(flight);
    if (attempt === undefined) return;
    if (isUnproven(message, flight.spelling)) {
      attempt.member.target.meters.mismatched('question');
      this.#again(attempt, 'tcp', flight.edns, attempt.isPlainRetry);
      return;
    }
    const reply = acceptReply(message, flight.question, flight.spelling);
    if (typeof reply !== 'string') {
      attempt.member.answered(flight, reply.rcode, this.#context.clock.nowMs() - flight.sentMs);
      this.#judge(attempt, reply);
    } else if (flight.transport === 'udp' && isTruncated(message)) {
      // Some servers cut in the middle of a record.
      this.#again(attempt, 'tcp', flight.edns, attempt.isPlainRetry);
    } else {
      // The question matched, so this is what the upstream has to say; there is nothing more to wait for.
      attempt.member.target.meters.mismatched(reply);
      this.#failed(attempt, { phase: 'match', errno: 'EBADMSG' });
    }
  }

  onFailure(flight: Flight, failure: Failure): void {
    const attempt = this.#take(flight);
    if (attempt !== undefined) this.#failed(attempt, failure);
  }

  /** Ends it at once, so that queries of other clients have room. */
  giveWay(): void {
    this.#finish(GAVE_WAY);
  }

  onDeadline(): void {
    const nowMs = this.#context.clock.nowMs();
    this.#blameOverdue(nowMs);
    if (nowMs >= this.#deadlineMs || isHopeless(this.#plan)) this.#giveUp();
    else if (nowMs >= this.#nextTryMs) this.#tryNext(nowMs);
    else if (nowMs >= this.#hedgeMs) this.#hedge(nowMs);
    this.#schedule();
  }

  #judge(attempt: Attempt, reply: Reply): void {
    const { flight, member, isPlainRetry } = attempt;
    const { target } = member;
    const verdict = verdictOf(attempt, reply, this.#plan);
    if (isPlainRetry && !refusesEdns(reply.rcode)) target.rememberPlain();
    if (verdict === 'plain') {
      this.#again(attempt, flight.transport, false, true);
      return;
    }
    const outcome = { reply, upstream: target.name, transport: flight.transport };
    if (verdict === 'tcp') {
      this.#fallback ??= outcome;
      this.#again(attempt, 'tcp', flight.edns, isPlainRetry);
    } else if (verdict === 'elsewhere') {
      this.#fallback = outcome;
      this.#failOver();
    } else {
      this.#learnTransport(attempt);
      if (flight.purpose === 'hedge') target.meters.hedged('won');
      this.#finish(outcome);
    }
  }

  /** Every upstream is asked once; then the last answer stands. */
  #failOver(): void {
    const { members } = this.#plan;
    if (this.#attempts < Math.min(this.#maxAttempts, members.length))
      this.#tryNext(this.#context.clock.nowMs());
    else if (this.#waiting.length === 0) this.#giveUp();
    this.#schedule();
  }

  #learnTransport({ flight, member }: Attempt): void {
    const { transport } = this.#plan;
    if (flight.transport === transport) member.target.tookWay(transport);
    else if (this.#deaf?.includes(member)) member.target.tookDetour(flight.transport);
  }

  #failed(attempt: Attempt, failure: Failure): void {
    attempt.member.failed(attempt.flight, failure);
    this.#note(attempt, failure);
    const isFirstChoice = attempt.flight.transport === this.#plan.transport;
    if (failure.phase === 'connect' && isFirstChoice && this.#extraDials > 0) {
      this.#extraDials--;
      this.#maxAttempts++;
    }
    const nowMs = this.#context.clock.nowMs();
    const mayTry = this.#attempts < this.#maxAttempts;
    const isOver = !mayTry && this.#waiting.length === 0;
    if (isOver || failure.errno === CLOSED) this.#giveUp();
    else if (mayTry && this.#attempts < this.#plan.members.length) this.#tryNext(nowMs);
    else if (mayTry) this.#nextTryMs = Math.min(this.#nextTryMs, nowMs + RETRY_PAUSE_MS);
    this.#schedule();
  }

  #tryNext(nowMs: number): void {
    if (this.#attempts >= this.#maxAttempts) {
      this.#nextTryMs = Number.POSITIVE_INFINITY;
      return;
    }
    const { members } = this.#plan;
    const round = Math.floor(this.#attempts / members.length);
    const member = members[this.#attempts % members.length] as Member;
    this.#attempts++;
    const { target } = member;
    const way = { edns: target.understandsEdns, isPlainRetry: false, purpose: 'query' } as const;
    this.#send(member, transportOf(this.#plan, member, round), way, nowMs);
  }

  /** Asks a second time, elsewhere: another upstream, or another way to the same. */
  #hedge(nowMs: number): void {
    this.#hedgeMs = Number.POSITIVE_INFINITY;
    const { hedges, members } = this.#plan;
    const [slow] = this.#waiting;
    if (slow === undefined || hedges === undefined) return;
    if (!hedges.take()) {
      slow.member.target.meters.hedged('denied');
      return;
    }
    const next = members[this.#attempts % members.length] as Member;
    const member = next.isSuspect ? slow.member : next;
    const { target } = member;
    const way = { edns: target.understandsEdns, isPlainRetry: false, purpose: 'hedge' } as const;
    const transport =
      target === slow.member.target ? slow.flight.transport : transportOf(this.#plan, member, 0);
    this.#send(member, transport, way, nowMs, slow.flight.carrier);
  }

  /** The same question to the same upstream, in another way. */
  #again(attempt: Attempt, transport: Transport, edns: boolean, isPlainRetry: boolean): void {
    const { member, flight } = attempt;
    const way = { edns, isPlainRetry, purpose: flight.purpose };
    this.#send(member, transport, way, this.#context.clock.nowMs());
    this.#schedule();
  }

  #send(
    member: Member,
    transport: Transport,
    { edns, isPlainRetry, purpose }: Way,
    nowMs: number,
    avoid: Flight['avoid'] = undefined,
  ): void {
    const { question, members } = this.#plan;
    const flight = new Flight(question, transport, edns, this, purpose);
    flight.avoid = avoid;
    const round = Math.floor((this.#attempts - 1) / members.length);
    const dueMs = nowMs + member.target.patienceMs(transport) * 2 ** Math.min(round, 2);
    const attempt = { flight, member, isPlainRetry, dueMs, isOverdue: false };
    this.#waiting = withAttempt(this.#waiting, attempt);
    // A hedge comes on top: it puts nothing off.
    if (purpose !== 'hedge') this.#nextTryMs = dueMs;
    member.send(flight);
  }

  #take(flight: Flight): Attempt | undefined {
    const attempt = attemptOf(this.#waiting, flight);
    this.#waiting = withoutAttempt(this.#waiting, attempt);
    return attempt;
  }

  /** An upstream that has not answered by now is under suspicion; its reply is still welcome. */
  #blameOverdue(nowMs: number): void {
    for (const attempt of this.#waiting) {
      if (attempt.isOverdue || attempt.dueMs > nowMs) continue;
      attempt.isOverdue = true;
      this.#isLate = true;
      const failure = { phase: attempt.flight.phase, errno: 'ETIMEDOUT' };
      attempt.member.failed(attempt.flight, failure);
      this.#note(attempt, failure);
    }
  }

  #note({ flight, member }: Attempt, failure: Failure): void {
    const { transport } = flight;
    const afterMs = this.#context.clock.nowMs() - flight.sentMs;
    this.#lastFailure = failureOf(member, transport, failure, afterMs);
    if (transport !== this.#plan.transport) return;
    this.#deaf ??= [];
    this.#deaf.push(member);
  }

  #schedule(): void {
    if (this.#isDone) return;
    const { clock, deadlines } = this.#context;
    const lookMs = this.#isLate ? clock.nowMs() + LOOK_MS : this.#deadlineMs;
    deadlines.set(this, Math.min(this.#nextTryMs, this.#hedgeMs, lookMs, this.#deadlineMs));
  }

  #giveUp(): void {
    const [slow] = this.#waiting;
    if (this.#lastFailure === undefined && slow !== undefined)
      this.#note(slow, { phase: slow.flight.phase, errno: 'ETIMEDOUT' });
    this.#finish(this.#fallback ?? unanswered(this.#lastFailure, this.#attempts));
  }

  #finish(outcome: UpstreamReply | DnsError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#share.remove(this);
    this.#context.deadlines.clear(this);
    const abandoned = this.#waiting;
    this.#waiting = NO_ATTEMPTS;
    abandonAll(abandoned);
    this.#settle(outcome);
  }
}
