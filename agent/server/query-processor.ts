/**
 * From received bytes to a response: reads the head, refuses messages that are not questions, passes the rest to the
 * dispatcher and counts each query once. Shared code of UDP and TCP.
 */
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../base/limits.ts';
import { RCODE } from '../dns/iana.ts';
import { readQueryHead, VERDICT, type Verdict } from '../dns/query-head.ts';
import type { Answer } from '../query/answer.ts';
import { errorAnswer } from '../query/error-answer.ts';
import type { RequestMetrics } from '../query/query.ts';
import { type Client, Query, type Transport } from '../query/query.ts';
import type { ServerLabel } from '../query/services/block.ts';
import type { Counter } from '../query/services/metrics.ts';
import type { AnswerDurations } from './answer-durations.ts';
import type { Dispatcher } from './dispatch.ts';
import { respond, respondHeaderOnly, responseCapacity } from './respond.ts';

/** Counters of one listener for messages that no zone answers, and durations of its answers. */
export interface QueryProcessorCounters {
  readonly tooShort: Counter;
  readonly notAQuery: Counter;
  readonly formErr: Counter;
  readonly notImp: Counter;
  readonly badVers: Counter;
  readonly durations: AnswerDurations;
}

/** Late responses are built here, one at a time. */
const scratch = Buffer.allocUnsafe(4_096);

/**
 * Sends a response that is late or too long to be written in place; the buffer is valid only during the call. An empty
 * one means that the query is finished and no response is sent.
 */
export type Deliver = (response: Buffer, query: Query) => void;

/** Result of `QueryProcessor.receive`: the answer is pending and `deliver` will be called exactly once. */
export const PENDING = -1;
/** Result of `QueryProcessor.receive`: the message is not a query, because it is too short for an ID or a response. */
export const NONSENSE = -2;

/** Query processing of one listener. Not shared between listeners, because it reuses its query object. */
export class QueryProcessor {
  readonly #server: ServerLabel;
  readonly #transport: Transport;
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #counters: QueryProcessorCounters;
  readonly #maxUdpBytes: number;
  #query = new Query();
  /** Queries in progress. */
  pending = 0;
  /** Metrics of queries whose responses are sent together, their number, and their arrival time. */
  #pendingMetrics: RequestMetrics | undefined;
  #pendingCount = 0;
  #pendingSinceMs = 0;

  /** `maxUdpBytes`: maximum bytes of a UDP response unless a plugin changes it. */
  constructor(
    server: ServerLabel,
    transport: Transport,
    dispatcher: Dispatcher,
    clock: Clock,
    counters: QueryProcessorCounters,
    maxUdpBytes: number = LIMITS.ednsUdpSizeBytes.default,
  ) {
    this.#server = server;
    this.#transport = transport;
    this.#dispatcher = dispatcher;
    this.#clock = clock;
    this.#counters = counters;
    this.#maxUdpBytes = maxUdpBytes;
  }

  /**
   * Handles one message: the first `length` bytes of `wire`. A response that is ready and fits is written into `out`;
   * the result is its length (0: no response, or `PENDING`, or `NONSENSE`). Every other response goes to `deliver`.
   * Never throws. Call `flushDurations` after the last message of a batch.
   */
  receive(
    wire: Buffer,
    length: number,
    arrivedMs: number,
    client: () => Client,
    out: Buffer,
    deliver: Deliver,
  ): number {
    const query = this.#query;
    const verdict = readQueryHead(wire, length, query.head);
    if (verdict !== VERDICT.answer && verdict !== VERDICT.badVers) {
      return this.#reject(verdict, length, out);
    }
    query.receive(wire, length, this.#transport, this.#server, arrivedMs, client);
    query.maxUdpBytes = this.#maxUdpBytes;
    if (verdict === VERDICT.badVers) {
      this.#counters.badVers.value++;
      return this.#finish(query, errorAnswer(query, RCODE.BADVERS), out, deliver);
    }
    const result = this.#dispatcher.begin(query);
    if (!(result instanceof Promise)) return this.#finish(query, result, out, deliver);
    this.#await(query, result, deliver);
    return PENDING;
  }

  /** Synchronous answers are sent now: one reading of the clock serves them all. */
  flushDurations(): void {
    if (this.#pendingMetrics === undefined) return;
    const durationMs = this.#clock.nowMs() - this.#pendingSinceMs;
    this.#pendingMetrics.recordDuration(durationMs, this.#pendingCount);
    this.#counters.durations.flush(durationMs);
    this.#pendingMetrics = undefined;
  }

  #reject(verdict: Verdict, length: number, out: Buffer): number {
    const { head } = this.#query;
    if (verdict === VERDICT.silence) {
      if (length < 12) this.#counters.tooShort.value++;
      else this.#counters.notAQuery.value++;
      return NONSENSE;
    }
    const isNotImp = verdict === VERDICT.notImp;
    if (isNotImp) this.#counters.notImp.value++;
    else this.#counters.formErr.value++;
    return respondHeaderOnly(head, isNotImp ? RCODE.NOTIMP : RCODE.FORMERR, out);
  }

  #await(query: Query, result: Promise<Answer>, deliver: Deliver): void {
    query.detach();
    this.#query = new Query();
    this.pending++;
    const done = (answer: Answer): void => {
      this.pending--;
      const bytes = responseCapacity(answer, query.responseOptions);
      const out = bytes <= scratch.length ? scratch : Buffer.allocUnsafe(bytes);
      const nowMs = this.#clock.nowMs();
      const length = this.#write(query, answer, nowMs, out);
      query.requestMetrics?.recordDuration(nowMs - query.arrivedMs, 1);
      this.#counters.durations.waited(query, answer, nowMs - query.arrivedMs);
      deliver(out.subarray(0, length), query);
    };
    // An error in `done` is a bug: the process's handler of unhandled rejections reports it.
    void result.then(done, (error: unknown) => done(this.#dispatcher.failed(query, error)));
  }

  #finish(query: Query, answer: Answer, out: Buffer, deliver: Deliver): number {
    const { requestMetrics, arrivedMs } = query;
    if (requestMetrics !== undefined) {
      this.#countPending(requestMetrics, arrivedMs);
      this.#counters.durations.add(query, answer);
    }
    // A whole number is no object where it is passed on.
    const nowMs = Math.floor(arrivedMs);
    if (responseCapacity(answer, query.responseOptions) <= out.length)
      return this.#write(query, answer, nowMs, out);
    const own = Buffer.allocUnsafe(responseCapacity(answer, query.responseOptions));
    const length = this.#write(query, answer, nowMs, own);
    deliver(own.subarray(0, length), query);
    return 0;
  }

  #countPending(requestMetrics: RequestMetrics, sinceMs: number): void {
    if (requestMetrics !== this.#pendingMetrics) {
      this.flushDurations();
      this.#pendingMetrics = requestMetrics;
      this.#pendingSinceMs = sinceMs;
      this.#pendingCount = 0;
    }
    this.#pendingCount++;
  }

  #write(query: Query, answer: Answer, nowMs: number, out: Buffer): number {
    const length = respond(query, answer, nowMs, out);
    query.requestMetrics?.record(query, answer.rcode, length, answer.plugin);
    return length;
  }
}
