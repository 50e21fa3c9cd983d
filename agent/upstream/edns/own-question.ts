/**
 * Tests with a question of the agent's own whether an upstream accepts EDNS. Replies to clients' questions only trigger
 * the test: the owner of a zone could make its server answer as if it rejected EDNS.
 */
import type { Clock } from '../../base/clock.ts';
import { acceptReply } from '../../dns/reply/accept.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { Failure } from '../transport/failure.ts';
import { PendingQuery, type PendingQueryOwner } from '../transport/pending-query.ts';
import { type Expiring, NOT_WAITING, type TimerWheel } from '../transport/timer-wheel.ts';
import { GOOD, NO_REPLY, USELESS, worthOf } from './worth.ts';

/** Longer than a resolver takes for a name that it can answer. */
const TIMEOUT_MS = 2_000;

/** `send` passes a query to the upstream once, without hedges or repeats. */
export interface OwnQuestionContext {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly send: (pending: PendingQuery) => void;
}

/** One test at a time: the caller checks `isUnderWay` first. A test is one or two queries of up to 2 s each. */
export class OwnQuestion implements PendingQueryOwner, Expiring {
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  readonly #context: OwnQuestionContext;
  readonly #transport: Transport;
  readonly #onVerdict: (isTaken: boolean) => void;
  #question: UpstreamQuestion | undefined;
  #pending: PendingQuery | undefined;
  #isLook = false;
  /** How good a reply with EDNS must be to show that EDNS is accepted, and how good one was. */
  #enough = GOOD;
  #withEdns = NO_REPLY;

  /** `onVerdict` is not called if the test had no result. */
  constructor(
    context: OwnQuestionContext,
    transport: Transport,
    onVerdict: (isTaken: boolean) => void,
  ) {
    this.#context = context;
    this.#transport = transport;
    this.#onVerdict = onVerdict;
  }

  get isUnderWay(): boolean {
    return this.#pending !== undefined;
  }

  /** Asks with EDNS and, without a good reply, again without: if that is better, the upstream does not accept EDNS. */
  ask(question: UpstreamQuestion): void {
    this.#question = question;
    this.#isLook = false;
    this.#enough = GOOD;
    this.#send(question, true);
  }

  /** Asks the same with EDNS once more: if the reply is as good as the one without, the upstream accepts EDNS. */
  look(): void {
    if (this.#question === undefined) return;
    this.#isLook = true;
    this.#send(this.#question, true);
  }

  onReply(pending: PendingQuery, message: Buffer): void {
    const reply = acceptReply(message, pending.question, pending.randomizedName);
    this.#judge(pending, typeof reply === 'string' ? USELESS : worthOf(reply));
  }

  /** A query that could not be sent says nothing about EDNS; a query that ends its connection counts as dropped. */
  onFailure(pending: PendingQuery, { mayBeEdns }: Failure): void {
    this.stop();
    if (pending.edns && mayBeEdns === true && !this.#isLook) this.#judge(pending, NO_REPLY);
  }

  onDeadline(): void {
    const pending = this.#pending;
    // A connection that has answered some queries and is then silent is half open.
    const mayBeEdns = pending?.phase === 'wait' && pending.connection?.isProven !== true;
    this.stop();
    if (pending?.edns && mayBeEdns && !this.#isLook) this.#judge(pending, NO_REPLY);
  }

  /** Ends the test without a result. Idempotent. */
  stop(): void {
    this.#pending?.abandon();
    this.#end();
  }

  #judge({ edns, question }: PendingQuery, worth: number): void {
    this.#end();
    if (!edns) {
      this.#enough = worth;
      if (worth > this.#withEdns) this.#onVerdict(false);
    } else if (worth >= this.#enough) {
      this.#onVerdict(true);
    } else if (!this.#isLook) {
      this.#withEdns = worth;
      this.#send(question, false);
    }
  }

  #send(question: UpstreamQuestion, edns: boolean): void {
    const { clock, timers, send } = this.#context;
    const pending = new PendingQuery(question, this.#transport, edns, this, 'probe');
    this.#pending = pending;
    timers.set(this, clock.nowMs() + TIMEOUT_MS);
    send(pending);
  }

  #end(): void {
    this.#pending = undefined;
    this.#context.timers.clear(this);
  }
}
