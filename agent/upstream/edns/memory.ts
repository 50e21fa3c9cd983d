/**
 * Whether an upstream takes queries with EDNS over one transport. Some refuse it in so many words (RFC 6891 §7); others
 * say SERVFAIL, REFUSED or nothing in an answer, or drop the query. Such a query is asked again without OPT. If that
 * brings more, a question of this node's own shows whether EDNS is the reason: if so, queries go out without, until our
 * question is answered with EDNS as well (`own-question.ts`).
 *
 * An upstream that is dead, or whose SERVFAIL is meant, must not get twice the queries: there are such tries only while
 * EDNS is in doubt, and after a few that brought nothing there are none for a minute.
 */
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { PendingQuery } from '../transport/pending-query.ts';
import type { UpstreamMetrics } from '../upstream-metrics.ts';
import { OwnQuestion, type OwnQuestionContext } from './own-question.ts';

/** Replies to EDNS in a row that may be because of it, silence included, after which it is in doubt. */
const DOUBTFUL = 5;
/** Tries without OPT that brought nothing, and tries at all, after which there are none for a while. */
const MAX_FRUITLESS = 3;
const MAX_TRIES = 128;
const REST_MS = 60_000;
/** When EDNS is looked at again: soon after it was learned, because one answer of two may be chance; then seldom. */
const FIRST_LOOK_MS = 10_000;
const LOOK_MS = 600_000;
/** Between two questions of our own that may find EDNS to be the reason. */
const ASK_MS = 10_000;

export interface EdnsContext extends OwnQuestionContext {
  readonly metrics: UpstreamMetrics;
}

export class EdnsMemory {
  readonly #context: EdnsContext;
  readonly #transport: Transport;
  readonly #isOff: boolean;
  readonly #own: OwnQuestion;
  /** Nothing is known at first. */
  #refusals = DOUBTFUL;
  #tries = 0;
  #fruitless = 0;
  #isRestForSilence = false;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #isPlain = false;
  #lookMs = Number.NEGATIVE_INFINITY;
  #askMs = Number.NEGATIVE_INFINITY;
  #isNextProbePlain = true;

  /** `isOff`: the Corefile says that there is no EDNS. */
  constructor(context: EdnsContext, transport: Transport, isOff: boolean) {
    this.#context = context;
    this.#transport = transport;
    this.#isOff = isOff;
    this.#own = new OwnQuestion(context, transport, (isTaken) => this.#learn(isTaken));
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
    // It was under way when that was learned, or is being learned.
    if (this.#isPlain || this.#own.isUnderWay) return true;
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

  /** Without OPT there was an answer that EDNS had not brought: `question`, which is ours, shows why. */
  wasFruitful(question: UpstreamQuestion): void {
    this.#fruitless = 0;
    const nowMs = this.#context.clock.nowMs();
    if (this.#isPlain || this.#own.isUnderWay || nowMs < this.#askMs) return;
    this.#askMs = nowMs + ASK_MS;
    this.#own.ask(question);
  }

  /** Asks with EDNS beside `pending`, which has none, where it is time to look whether that is understood. */
  lookBeside({ edns }: PendingQuery): void {
    if (edns || !this.#isPlain || this.#own.isUnderWay) return;
    const nowMs = this.#context.clock.nowMs();
    if (nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_MS;
    this.#own.look();
  }

  /** Sends nothing more. */
  close(): void {
    this.#own.stop();
  }

  #learn(isTaken: boolean): void {
    this.#isPlain = !isTaken;
    this.#wake();
    if (isTaken) {
      this.#refusals = 0;
      return;
    }
    this.#context.metrics.learned(this.#transport, 'edns');
    this.#lookMs = this.#context.clock.nowMs() + FIRST_LOOK_MS;
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
