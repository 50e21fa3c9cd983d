/**
 * From received octets to a response: reads the head, refuses what is not a question, lets the dispatcher answer the
 * rest and counts each query once. UDP and TCP meet here.
 */
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../base/limits.ts';
import { RCODE } from '../dns/iana.ts';
import { readQueryHead, VERDICT, type Verdict } from '../dns/query-head.ts';
import type { Answer } from '../query/answer.ts';
import type { RequestMetrics } from '../query/query.ts';
import { type Client, Query, type Transport } from '../query/query.ts';
import type { ServerLabel } from '../query/services/block.ts';
import type { Counter } from '../query/services/metrics.ts';
import type { Dispatcher } from './dispatch.ts';
import { errorAnswer, respond, respondHeaderOnly, responseCapacity } from './respond.ts';

/** Counters of one listener, by what happened to messages that are not answered from a zone. */
export interface QueryProcessorCounters {
  readonly tooShort: Counter;
  readonly notAQuery: Counter;
  readonly formErr: Counter;
  readonly notImp: Counter;
  readonly badVers: Counter;
}

/** Late responses are made here, one after the other. */
const scratch = Buffer.allocUnsafe(4_096);

/**
 * Where a response goes that comes later or does not fit in place; it is only valid during the call. An empty one means
 * silence: nothing is sent, but the query is over.
 */
export type Deliver = (response: Buffer, query: Query) => void;

/** Returned by `QueryProcessor.receive` where the answer is still awaited: `deliver` will be called exactly once. */
export const PENDING = -1;
/** Returned by `QueryProcessor.receive` for what is no query: too short to have an ID, or a response. */
export const NONSENSE = -2;

/** One listener's way in. Not shared between listeners: it reuses its query object. */
export class QueryProcessor {
  readonly #server: ServerLabel;
  readonly #transport: Transport;
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #counters: QueryProcessorCounters;
  readonly #maxUdpBytes: number;
  #query = new Query();
  /** Queries whose answer is still awaited. */
  pending = 0;
  /** Whose answers are to leave together, how many they are, and since when they have been here. */
  #pendingMetrics: RequestMetrics | undefined;
  #pendingCount = 0;
  #pendingSinceMs = 0;

  /** `maxUdpBytes`: what a UDP response may have where no plugin says, octets. */
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
   * Handles one message: the first `length` octets of `wire`. A response that is ready and fits goes into `out`, and
   * its length comes back (0: there is none, or `PENDING`, or `NONSENSE`); every other one goes through `deliver`. Never
   * throws. `flushDurations` is to be called behind the last message of a batch.
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

  /** What was answered at once leaves now: one reading of the clock is for all of it. */
  flushDurations(): void {
    if (this.#pendingMetrics === undefined) return;
    this.#pendingMetrics.recordDuration(
      this.#clock.nowMs() - this.#pendingSinceMs,
      this.#pendingCount,
    );
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
      deliver(out.subarray(0, length), query);
    };
    // Should `done` fail, that is a fault for the process edge to report.
    void result.then(done, (error: unknown) => done(this.#dispatcher.failed(query, error)));
  }

  #finish(query: Query, answer: Answer, out: Buffer, deliver: Deliver): number {
    const { requestMetrics, arrivedMs } = query;
    if (requestMetrics !== undefined) this.#countPending(requestMetrics, arrivedMs);
    if (responseCapacity(answer, query.responseOptions) <= out.length)
      return this.#write(query, answer, arrivedMs, out);
    const own = Buffer.allocUnsafe(responseCapacity(answer, query.responseOptions));
    const length = this.#write(query, answer, arrivedMs, own);
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
