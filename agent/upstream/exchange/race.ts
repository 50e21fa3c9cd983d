/** The attempts of one exchange: decides when and how each upstream is asked, and tracks the attempts in flight. */
import type { Transport } from '../../query/query.ts';
import type { PlainReason } from '../edns/learn.ts';
import type { GroupMember } from '../group-member.ts';
import { PendingQuery, type PendingQueryOwner, type Purpose } from '../transport/pending-query.ts';
import { type Attempt, type Plan, transportOf } from './plan.ts';
import { tapAttempt } from './tap.ts';

const NONE: readonly Attempt[] = [];
const NEVER = Number.POSITIVE_INFINITY;

/** Used by one exchange, which judges the replies and decides when the race ends. */
export class Race {
  /** Attempts so far, not counting hedges and repeats. */
  attempts = 0;
  readonly #plan: Plan;
  readonly #owner: PendingQueryOwner;
  #waiting = NONE;
  #maxAttempts: number;
  #extraDials: number;
  /** When the next attempt is due, and when the current one is hedged. */
  #nextTryMs = NEVER;
  #hedgeMs = NEVER;

  constructor(plan: Plan, owner: PendingQueryOwner) {
    this.#plan = plan;
    this.#owner = owner;
    this.#maxAttempts = plan.maxAttempts;
    this.#extraDials = plan.extraDials;
  }

  /** Starts the first attempt, and schedules its hedge if the plan allows hedges. */
  start(nowMs: number): void {
    this.tryNext(nowMs);
    const [first] = this.#waiting;
    if (first !== undefined && this.#plan.hedges !== undefined)
      this.#hedgeMs = nowMs + first.member.upstream.hedgeMs(first.pending.transport);
  }

  get waiting(): readonly Attempt[] {
    return this.#waiting;
  }

  get mayTry(): boolean {
    return this.attempts < this.#maxAttempts;
  }

  /** Whether an upstream is left that has not been asked yet. */
  get hasFresh(): boolean {
    return this.mayTry && this.attempts < this.#plan.members.length;
  }

  /** When the next action is due, clock milliseconds. */
  get dueMs(): number {
    return Math.min(this.#nextTryMs, this.#hedgeMs);
  }

  /** Starts what is due. */
  run(nowMs: number): void {
    if (nowMs >= this.#nextTryMs) this.tryNext(nowMs);
    else if (nowMs >= this.#hedgeMs) this.#hedge(nowMs);
  }

  /** Starts the next attempt; does nothing if the maximum is reached. */
  tryNext(nowMs: number): void {
    if (!this.mayTry) {
      this.#nextTryMs = NEVER;
      return;
    }
    const { members } = this.#plan;
    const round = Math.floor(this.attempts / members.length);
    const member = members[this.attempts % members.length] as GroupMember;
    this.attempts++;
    this.#send(member, transportOf(this.#plan, member, round), 'query', nowMs);
  }

  /** Makes the next attempt due no later than `atMs`. */
  tryBy(atMs: number): void {
    this.#nextTryMs = Math.min(this.#nextTryMs, atMs);
  }

  /** A connection failed: allows an extra attempt, because another endpoint of the Service may accept it. */
  forgiveDial(): void {
    if (this.#extraDials === 0) return;
    this.#extraDials--;
    this.#maxAttempts++;
  }

  /** Repeats the question to the same upstream in another way. */
  again(
    { member, pending }: Attempt,
    transport: Transport,
    edns: boolean,
    plainFor: PlainReason | undefined,
    nowMs: number,
  ): void {
    const { question } = this.#plan;
    const again = new PendingQuery(question, transport, edns, this.#owner, pending.purpose);
    this.#launch(member, again, plainFor, nowMs);
  }

  /** Removes and returns the attempt of `pending`, which has ended with `response` or a failure. */
  take(pending: PendingQuery, response?: Uint8Array): Attempt | undefined {
    const attempt = this.#waiting.find((each) => each.pending === pending);
    if (attempt !== undefined) tapAttempt(attempt, response);
    if (this.#waiting.length === 1 && attempt !== undefined) this.#waiting = NONE;
    else this.#waiting = this.#waiting.filter((each) => each !== attempt);
    return attempt;
  }

  /** The next attempt that has become overdue; a late reply still counts. */
  takeOverdue(nowMs: number): Attempt | undefined {
    const overdue = this.#waiting.find((each) => !each.isOverdue && each.dueMs <= nowMs);
    if (overdue === undefined) return undefined;
    overdue.isOverdue = true;
    overdue.pending.connection?.late(overdue.pending);
    return overdue;
  }

  /** Overdue attempts go on waiting: their connections may find out why. */
  stillLate(): void {
    for (const { isOverdue, pending } of this.#waiting)
      if (isOverdue) pending.connection?.late(pending);
  }

  /** Gives up every attempt in flight; a hedge among them counts as lost. */
  abandon(): void {
    const abandoned = this.#waiting;
    this.#waiting = NONE;
    for (const attempt of abandoned) {
      const { pending, member } = attempt;
      tapAttempt(attempt, undefined);
      if (pending.purpose === 'hedge') member.upstream.metrics.hedged('lost');
      pending.abandon();
    }
  }

  /** Sends the question a second time: to another upstream, or another way to the same one. */
  #hedge(nowMs: number): void {
    this.#hedgeMs = NEVER;
    const { hedges, members } = this.#plan;
    const [slow] = this.#waiting;
    if (slow === undefined || hedges === undefined) return;
    slow.pending.connection?.late(slow.pending);
    if (!hedges.take()) {
      slow.member.upstream.metrics.hedged('denied');
      return;
    }
    const next = members[this.attempts % members.length] as GroupMember;
    const member = next.isSuspect ? slow.member : next;
    const { upstream } = member;
    const transport =
      upstream === slow.member.upstream
        ? slow.pending.transport
        : transportOf(this.#plan, member, 0);
    this.#send(member, transport, 'hedge', nowMs, slow.pending.connection);
  }

  #send(
    member: GroupMember,
    transport: Transport,
    purpose: Purpose,
    nowMs: number,
    avoid: PendingQuery['avoid'] = undefined,
  ): void {
    const edns = member.upstream.edns[transport].isUsed;
    const pending = new PendingQuery(this.#plan.question, transport, edns, this.#owner, purpose);
    pending.avoid = avoid;
    this.#launch(member, pending, undefined, nowMs);
  }

  #launch(
    member: GroupMember,
    pending: PendingQuery,
    plainFor: PlainReason | undefined,
    nowMs: number,
  ): void {
    const round = Math.floor((this.attempts - 1) / this.#plan.members.length);
    const dueMs = nowMs + member.upstream.timeoutMs(pending.transport) * 2 ** Math.min(round, 2);
    const attempt = { pending, member, plainFor, dueMs, isOverdue: false };
    // Most exchanges have one attempt: an array literal has no spare capacity.
    this.#waiting = this.#waiting.length === 0 ? [attempt] : [...this.#waiting, attempt];
    // Hedges and repeats after a timeout are extra: they do not delay the next attempt.
    if (pending.purpose !== 'hedge' && plainFor !== 'silence') this.#nextTryMs = dueMs;
    member.send(pending);
  }
}
