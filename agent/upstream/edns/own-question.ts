/**
 * Finds out whether an upstream takes EDNS with a question of this node's own. What clients' names bring is only the
 * reason to ask: the owner of a zone may have its server answer in a way that looks like a dislike of EDNS.
 */
import type { Clock } from '../../base/clock.ts';
import { acceptReply } from '../../dns/reply/accept.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { Failure } from '../transport/failure.ts';
import { Flight, type FlightOwner } from '../transport/pending-query.ts';
import { type Deadlines, type Expiring, NOT_WAITING } from '../transport/timer-wheel.ts';
import { GOOD, SILENCE, USELESS, worthOf } from './worth.ts';

/** Longer than a resolver takes for a name that it answers. */
const PATIENCE_MS = 2_000;

export interface OwnQuestionContext {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly send: (flight: Flight) => void;
}

export class OwnQuestion implements FlightOwner, Expiring {
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  readonly #context: OwnQuestionContext;
  readonly #transport: Transport;
  readonly #onVerdict: (isTaken: boolean) => void;
  #question: UpstreamQuestion | undefined;
  #flight: Flight | undefined;
  #isLook = false;
  /** What a reply with EDNS must be worth to show that it is taken, and what one was worth. */
  #enough = GOOD;
  #withEdns = SILENCE;

  /** `onVerdict` is not called where nothing was found out. */
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
    return this.#flight !== undefined;
  }

  /** Asks with EDNS and, where that brings no good answer, without: EDNS is not taken where that brings more. */
  ask(question: UpstreamQuestion): void {
    this.#question = question;
    this.#isLook = false;
    this.#enough = GOOD;
    this.#send(question, true);
  }

  /** Asks the same with EDNS once more: it is taken where that brings as much as the question without had. */
  look(): void {
    if (this.#question === undefined) return;
    this.#isLook = true;
    this.#send(this.#question, true);
  }

  onReply(flight: Flight, message: Buffer): void {
    const reply = acceptReply(message, flight.question, flight.spelling);
    this.#heard(flight, typeof reply === 'string' ? USELESS : worthOf(reply));
  }

  /** What could not be sent says nothing of EDNS; a query that ends a connection is as good as dropped. */
  onFailure(flight: Flight, { mayBeEdns }: Failure): void {
    this.stop();
    if (flight.edns && mayBeEdns === true && !this.#isLook) this.#heard(flight, SILENCE);
  }

  onDeadline(): void {
    const flight = this.#flight;
    // A connection that has answered some and then is silent is half open.
    const mayBeEdns = flight?.phase === 'wait' && flight.carrier?.isProven !== true;
    this.stop();
    if (flight?.edns && mayBeEdns && !this.#isLook) this.#heard(flight, SILENCE);
  }

  stop(): void {
    this.#flight?.abandon();
    this.#end();
  }

  #heard({ edns, question }: Flight, worth: number): void {
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
    const { clock, deadlines, send } = this.#context;
    const flight = new Flight(question, this.#transport, edns, this, 'probe');
    this.#flight = flight;
    deadlines.set(this, clock.nowMs() + PATIENCE_MS);
    send(flight);
  }

  #end(): void {
    this.#flight = undefined;
    this.#context.deadlines.clear(this);
  }
}
