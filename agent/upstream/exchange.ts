/**
 * One question and its one deadline. Upstreams are tried in order; an attempt that stays unanswered is left to run
 * while the next one begins, and the first good reply wins. Truncated replies are asked again over TCP, a FORMERR to
 * EDNS again without it (RFC 6891 §7).
 */

import type { Clock } from '../base/clock.ts';
import { DnsError, NetworkError, type Phase } from '../base/errors.ts';
import { FLAG, flagsOf } from '../dns/header.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import { type Reply, readReply } from '../dns/reply.ts';
import type { Transport } from '../query/query.ts';
import type { UpstreamQuestion, UpstreamReply } from '../query/services.ts';
import { type Deadlines, type Expiring, NOT_WAITING } from './deadlines.ts';
import { CLOSED, Flight, type FlightOwner } from './flight.ts';
import type { Member } from './member.ts';
import type { Failure } from './ports.ts';

/** Before an upstream that failed at once is tried again, milliseconds: no busy loop on a refused connection. */
const RETRY_PAUSE_MS = 50;

export interface Plan {
  readonly question: UpstreamQuestion;
  readonly budgetMs: number;
  /** In the order in which they are tried; not empty. */
  readonly members: readonly Member[];
  /** Attempts at most, repeats for TC and FORMERR aside. */
  readonly maxAttempts: number;
  readonly transport: Transport;
  /** Whether a second try at the same upstream may use the other transport. */
  readonly mayChangeTransport: boolean;
  readonly failoverRcodes: readonly number[];
}

export interface ExchangeContext {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

interface Attempt {
  readonly flight: Flight;
  readonly member: Member;
  /** Whether the same query was refused with its OPT. */
  readonly isPlainRetry: boolean;
  /** When a reply should have come, clock milliseconds. */
  readonly dueMs: number;
  isOverdue: boolean;
}

type Settle = (outcome: UpstreamReply | DnsError) => void;

export class Exchange implements FlightOwner, Expiring {
  dueTick = NOT_WAITING;
  readonly #context: ExchangeContext;
  readonly #plan: Plan;
  readonly #settle: Settle;
  readonly #startedMs: number;
  readonly #deadlineMs: number;
  #waiting: Attempt[] = [];
  #attempts = 0;
  #isDone = false;
  /** What is better than nothing: a truncated reply, or one with a rcode to fail over from. */
  #fallback: UpstreamReply | undefined;
  #lastFailure: NetworkError | undefined;

  /** `settle` is called once, later or from within `start`. */
  constructor(context: ExchangeContext, plan: Plan, settle: Settle) {
    this.#context = context;
    this.#plan = plan;
    this.#settle = settle;
    this.#startedMs = context.clock.nowMs();
    this.#deadlineMs = this.#startedMs + plan.budgetMs;
  }

  start(): void {
    this.#tryNext();
  }

  onReply(flight: Flight, message: Buffer): void {
    const attempt = this.#take(flight);
    if (attempt === undefined) return;
    const reply = readReply(message);
    if (reply === undefined && isTruncatedDatagram(flight, message)) {
      // Some servers cut in the middle of a record.
      this.#send(attempt.member, 'tcp', { edns: flight.edns, isPlainRetry: attempt.isPlainRetry });
      return;
    }
    if (reply === undefined) {
      // The question matched, so this is what the upstream has to say; there is nothing more to wait for.
      this.#failed(attempt, { phase: 'match', errno: 'EBADMSG' });
      return;
    }
    attempt.member.answered(flight, reply.rcode, this.#context.clock.nowMs() - flight.sentMs);
    this.#judge(attempt, reply);
  }

  onFailure(flight: Flight, failure: Failure): void {
    const attempt = this.#take(flight);
    if (attempt !== undefined) this.#failed(attempt, failure);
  }

  onDeadline(): void {
    const nowMs = this.#context.clock.nowMs();
    this.#blameOverdue(nowMs);
    if (nowMs >= this.#deadlineMs) this.#giveUp();
    else this.#tryNext();
  }

  #judge(attempt: Attempt, reply: Reply): void {
    const { flight, member, isPlainRetry } = attempt;
    const isRefusedEdns = reply.rcode === RCODE.FORMERR || reply.rcode === RCODE.NOTIMP;
    if (isRefusedEdns && flight.edns) {
      this.#send(member, flight.transport, { edns: false, isPlainRetry: true });
      return;
    }
    if (isPlainRetry && !isRefusedEdns) member.target.rememberPlain();
    const outcome = { reply, upstream: member.target.name, transport: flight.transport };
    if (reply.truncated && flight.transport === 'udp') {
      this.#fallback ??= outcome;
      this.#send(member, 'tcp', { edns: flight.edns, isPlainRetry });
    } else if (this.#plan.failoverRcodes.includes(reply.rcode)) {
      this.#fallback = outcome;
      this.#failOver();
    } else {
      this.#finish(outcome);
    }
  }

  /** Every upstream is asked once; then the last answer stands. */
  #failOver(): void {
    const { members } = this.#plan;
    if (this.#attempts < Math.min(this.#maxAttempts, members.length)) this.#tryNext();
    else if (this.#waiting.length === 0) this.#giveUp();
  }

  #failed(attempt: Attempt, failure: Failure): void {
    attempt.member.failed(attempt.flight, failure);
    this.#note(attempt, failure);
    if (failure.errno === CLOSED) {
      this.#giveUp();
    } else if (this.#attempts >= this.#maxAttempts) {
      if (this.#waiting.length === 0) this.#giveUp();
    } else if (this.#attempts < this.#plan.members.length) {
      this.#tryNext();
    } else {
      this.#wakeAt(this.#context.clock.nowMs() + RETRY_PAUSE_MS);
    }
  }

  get #maxAttempts(): number {
    return this.#plan.maxAttempts;
  }

  #tryNext(): void {
    if (this.#attempts >= this.#maxAttempts) {
      this.#wakeAt(this.#deadlineMs);
      return;
    }
    const { members, transport, mayChangeTransport } = this.#plan;
    const round = Math.floor(this.#attempts / members.length);
    const member = members[this.#attempts % members.length] as Member;
    this.#attempts++;
    const other = transport === 'udp' ? 'tcp' : 'udp';
    const chosen = mayChangeTransport && round % 2 === 1 ? other : transport;
    this.#send(member, chosen, { edns: member.target.understandsEdns, isPlainRetry: false });
  }

  #send(
    member: Member,
    transport: Transport,
    how: { readonly edns: boolean; readonly isPlainRetry: boolean },
  ): void {
    const { question, members } = this.#plan;
    const flight = new Flight(question, transport, how.edns, this);
    const { isPlainRetry } = how;
    const round = Math.floor((this.#attempts - 1) / members.length);
    const dueMs = this.#context.clock.nowMs() + member.target.patienceMs(transport) * 2 ** round;
    this.#waiting.push({ flight, member, isPlainRetry, dueMs, isOverdue: false });
    this.#wakeAt(dueMs);
    member.send(flight);
  }

  #take(flight: Flight): Attempt | undefined {
    const at = this.#waiting.findIndex((attempt) => attempt.flight === flight);
    return at === -1 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /** Whoever has not answered by now is under suspicion; its reply is still welcome. */
  #blameOverdue(nowMs: number): void {
    for (const attempt of this.#waiting) {
      if (attempt.isOverdue || attempt.dueMs > nowMs) continue;
      attempt.isOverdue = true;
      const failure = { phase: phaseOf(attempt.flight), errno: 'ETIMEDOUT' };
      attempt.member.failed(attempt.flight, failure);
      this.#note(attempt, failure);
    }
  }

  #note({ flight, member }: Attempt, { phase, errno }: Failure): void {
    const ms = Math.round(this.#context.clock.nowMs() - flight.sentMs);
    const what = `${member.target.name} over ${flight.transport}: ${errno} in ${phase} after ${ms} ms`;
    this.#lastFailure = new NetworkError(phase, errno, what);
  }

  #wakeAt(atMs: number): void {
    if (!this.#isDone) this.#context.deadlines.set(this, Math.min(atMs, this.#deadlineMs));
  }

  #giveUp(): void {
    this.#finish(this.#fallback ?? this.#error());
  }

  #error(): DnsError {
    const [unanswered] = this.#waiting;
    if (this.#lastFailure === undefined && unanswered !== undefined)
      this.#note(unanswered, { phase: phaseOf(unanswered.flight), errno: 'ETIMEDOUT' });
    const failure = this.#lastFailure;
    const tried = this.#attempts === 1 ? '' : `, the last of ${this.#attempts} attempts`;
    const text = failure === undefined ? 'no upstream answered' : `${failure.message}${tried}`;
    const isSilence = failure === undefined || failure.errno === 'ETIMEDOUT';
    const code = isSilence ? EDE.NO_REACHABLE_AUTHORITY : EDE.NETWORK_ERROR;
    return new DnsError(RCODE.SERVFAIL, text, { code, text }, { cause: failure });
  }

  #finish(outcome: UpstreamReply | DnsError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#context.deadlines.clear(this);
    const abandoned = this.#waiting;
    this.#waiting = [];
    for (const { flight } of abandoned) flight.abandon();
    this.#settle(outcome);
  }
}

function phaseOf(flight: Flight): Phase {
  return flight.carrier?.phase ?? 'wait';
}

function isTruncatedDatagram(flight: Flight, message: Buffer): boolean {
  return flight.transport === 'udp' && (flagsOf(message) & FLAG.TC) !== 0;
}
