/**
 * Whether an upstream accepts queries with EDNS over one transport. Some upstreams refuse EDNS explicitly (RFC 6891
 * §7); others answer SERVFAIL, REFUSED or without records, or drop the query. The agent then repeats the query without
 * OPT. If the reply is better, a question of the agent's own shows whether EDNS is the reason. If so, queries are sent
 * without OPT until the agent's question is answered with EDNS as well (`own-question.ts`).
 *
 * An upstream that is dead, or whose SERVFAIL is genuine, must not get twice the queries. So queries are repeated only
 * while EDNS support is in doubt, and after a few repeats without benefit there are none for a minute.
 */
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { PendingQuery } from '../transport/pending-query.ts';
import type { UpstreamMetrics } from '../upstream-metrics.ts';
import { OwnQuestion, type OwnQuestionContext } from './own-question.ts';

/** EDNS support is in doubt after so many replies in a row that may be an effect of EDNS, timeouts included. */
const DOUBTFUL = 5;
/** Repeats without benefit, and repeats in all, after which there are none for a while. */
const MAX_FRUITLESS = 3;
const MAX_TRIES = 128;
const REST_MS = 60_000;
/** When EDNS is tested again: first soon after it was switched off, because the result may be chance; then seldom. */
const FIRST_LOOK_MS = 10_000;
const LOOK_MS = 600_000;
/** Interval of the agent's own questions. */
const ASK_MS = 10_000;

/** As for the agent's own question, with the upstream's series. */
export interface EdnsContext extends OwnQuestionContext {
  readonly metrics: UpstreamMetrics;
}

/** One for each upstream and transport; it lives as long as the upstream. */
export class EdnsMemory {
  readonly #context: EdnsContext;
  readonly #transport: Transport;
  readonly #isOff: boolean;
  readonly #own: OwnQuestion;
  /** Starts in doubt. */
  #refusals = DOUBTFUL;
  #tries = 0;
  #fruitless = 0;
  #isRestForSilence = false;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #isPlain = false;
  #lookMs = Number.NEGATIVE_INFINITY;
  #askMs = Number.NEGATIVE_INFINITY;
  #isNextProbePlain = true;

  /** `isOff`: the Corefile switches EDNS off. */
  constructor(context: EdnsContext, transport: Transport, isOff: boolean) {
    this.#context = context;
    this.#transport = transport;
    this.#isOff = isOff;
    this.#own = new OwnQuestion(context, transport, (isTaken) => this.#learn(isTaken));
  }

  /** Whether queries are sent with an OPT. */
  get isUsed(): boolean {
    return !this.#isOff && !this.#isPlain;
  }

  /**
   * As `isUsed`, for a health probe. While EDNS is in doubt every second probe has no OPT, so that a working upstream
   * answers some.
   */
  takeProbe(): boolean {
    if (!this.isUsed || this.#refusals < DOUBTFUL) return this.isUsed;
    this.#isNextProbePlain = !this.#isNextProbePlain;
    return this.#isNextProbePlain;
  }

  /** A query with EDNS got a good reply. */
  liked(): void {
    if (this.#refusals === 0) return;
    this.#refusals = 0;
    this.#wake();
  }

  /** A query with EDNS got no reply, or one that may be an effect of EDNS; returns whether to repeat it without. */
  disliked(): boolean {
    // The query was sent before the result was known, or during the test.
    if (this.#isPlain || this.#own.isUnderWay) return true;
    if (this.#refusals < DOUBTFUL) this.#refusals++;
    const isResting = this.#context.clock.nowMs() < this.#restUntilMs;
    if (this.#refusals < DOUBTFUL || isResting) return false;
    if (++this.#tries >= MAX_TRIES) this.#rest(false);
    return true;
  }

  /** A query without OPT got a reply of any kind: the upstream works. */
  recordReply(): void {
    if (this.#isRestForSilence) this.#wake();
  }

  /** A repeat brought no better reply than EDNS did; `isSilence`: it brought none. */
  wasFruitless(isSilence: boolean): void {
    if (++this.#fruitless >= MAX_FRUITLESS) this.#rest(isSilence);
  }

  /** A repeat without OPT brought a better reply: `question`, the agent's own, tests whether EDNS is the reason. */
  wasFruitful(question: UpstreamQuestion): void {
    this.#fruitless = 0;
    const nowMs = this.#context.clock.nowMs();
    if (this.#isPlain || this.#own.isUnderWay || nowMs < this.#askMs) return;
    this.#askMs = nowMs + ASK_MS;
    this.#own.ask(question);
  }

  /** If a test is due, sends the agent's question with EDNS alongside `pending`, which has none. */
  lookBeside({ edns }: PendingQuery): void {
    if (edns || !this.#isPlain || this.#own.isUnderWay) return;
    const nowMs = this.#context.clock.nowMs();
    if (nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_MS;
    this.#own.look();
  }

  /** Stops all tests. */
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
