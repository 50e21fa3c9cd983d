/**
 * Whether an upstream takes queries with EDNS over one transport. Some refuse it in so many words (RFC 6891 §7); others
 * say SERVFAIL, REFUSED or nothing in an answer, or drop the query. Which it is shows when the same question is asked
 * without OPT: if that brings more, queries go out so, until one that is sent with EDNS beside them is answered.
 *
 * An upstream that is dead, or whose SERVFAIL is meant, must not get twice the queries: there are such tries only while
 * EDNS is in doubt, and after a few that brought nothing there are none for a minute.
 */
import type { Clock } from '../../base/clock.ts';
import { acceptReply } from '../../dns/reply/accept.ts';
import type { Transport } from '../../query/query.ts';
import { type Deadlines, type Expiring, NOT_WAITING } from '../deadlines.ts';
import { Flight, type FlightOwner } from '../flight.ts';
import type { TargetMeters } from '../meters.ts';
import { isGood } from './worth.ts';

/** Replies to EDNS in a row that may be because of it, silence included, after which it is in doubt. */
const DOUBTFUL = 5;
/** Tries without OPT that brought nothing, and tries at all, after which there are none for a while. */
const MAX_FRUITLESS = 3;
const MAX_TRIES = 128;
const REST_MS = 60_000;
/** When EDNS is looked at again: soon after it was learned, because one answer of two may be chance; then seldom. */
const FIRST_LOOK_MS = 10_000;
const LOOK_MS = 600_000;
/** Longer than a resolver takes for a name that it answers. */
const LOOK_PATIENCE_MS = 2_000;

export interface EdnsContext {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly meters: TargetMeters;
}

export class EdnsMemory implements FlightOwner, Expiring {
  dueTick = NOT_WAITING;
  readonly #context: EdnsContext;
  readonly #transport: Transport;
  readonly #isOff: boolean;
  /** Nothing is known at first. */
  #refusals = DOUBTFUL;
  #tries = 0;
  #fruitless = 0;
  #isRestForSilence = false;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #isPlain = false;
  #lookMs = Number.NEGATIVE_INFINITY;
  #look: Flight | undefined;
  #isNextProbePlain = true;

  /** `isOff`: the Corefile says that there is no EDNS. */
  constructor(context: EdnsContext, transport: Transport, isOff: boolean) {
    this.#context = context;
    this.#transport = transport;
    this.#isOff = isOff;
  }

  /** Whether queries go out with an OPT. */
  get isUsed(): boolean {
    return !this.#isOff && !this.#isPlain;
  }

  /** The same for a probe of health: while EDNS is in doubt every second one has none, which shows an upstream that lives. */
  takeProbe(): boolean {
    if (!this.isUsed || this.#refusals < DOUBTFUL) return this.isUsed;
    this.#isNextProbePlain = !this.#isNextProbePlain;
    return this.#isNextProbePlain;
  }

  /** A good answer came to a query with EDNS. */
  liked(): void {
    if (this.#refusals === 0) return;
    this.#refusals = 0;
    this.#wake();
  }

  /**
   * A query with EDNS was not answered, or by something that may be because of it; whether it may be asked again
   * without.
   */
  disliked(): boolean {
    // It was under way when that was learned.
    if (this.#isPlain) return true;
    if (this.#refusals < DOUBTFUL) this.#refusals++;
    const isResting = this.#context.clock.nowMs() < this.#restUntilMs;
    if (this.#refusals < DOUBTFUL || isResting) return false;
    if (++this.#tries >= MAX_TRIES) this.#rest(false);
    return true;
  }

  /** A query without OPT was answered, by whatever: the upstream lives. */
  heard(): void {
    if (this.#isRestForSilence) this.#wake();
  }

  /** A try brought no more than EDNS did; `isSilence`: it brought nothing. */
  wasFruitless(isSilence: boolean): void {
    if (++this.#fruitless >= MAX_FRUITLESS) this.#rest(isSilence);
  }

  /** Without OPT there was an answer that EDNS had not brought. */
  learnPlain(): void {
    this.#wake();
    if (this.#isPlain) return;
    this.#isPlain = true;
    this.#context.meters.learned(this.#transport, 'edns');
    this.#lookMs = this.#context.clock.nowMs() + FIRST_LOOK_MS;
  }

  /** A query with EDNS to send beside `flight`, which has none, where it is time to look whether that is understood. */
  takeLook({ edns, question, transport }: Flight): Flight | undefined {
    if (edns || !this.#isPlain || this.#isOff || this.#look !== undefined) return undefined;
    const { clock, deadlines } = this.#context;
    const nowMs = clock.nowMs();
    if (nowMs < this.#lookMs) return undefined;
    this.#lookMs = nowMs + LOOK_MS;
    deadlines.set(this, nowMs + LOOK_PATIENCE_MS);
    this.#look = new Flight(question, transport, true, this, 'probe');
    return this.#look;
  }

  onReply(flight: Flight, message: Buffer): void {
    this.#endLook();
    const reply = acceptReply(message, flight.question, flight.spelling);
    if (typeof reply === 'string' || !isGood(reply)) return;
    this.#isPlain = false;
    this.#refusals = 0;
  }

  onFailure(): void {
    this.#endLook();
  }

  onDeadline(): void {
    this.#look?.abandon();
    this.#look = undefined;
  }

  /** Sends nothing more. */
  close(): void {
    this.#look?.abandon();
    this.#endLook();
  }

  #endLook(): void {
    this.#look = undefined;
    this.#context.deadlines.clear(this);
  }

  #rest(isSilence: boolean): void {
    this.#tries = 0;
    this.#fruitless = 0;
    this.#isRestForSilence = isSilence;
    this.#restUntilMs = this.#context.clock.nowMs() + REST_MS;
  }

  #wake(): void {
    this.#tries = 0;
    this.#fruitless = 0;
    this.#isRestForSilence = false;
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
  }
}
