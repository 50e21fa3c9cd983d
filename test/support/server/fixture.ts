/** One listener's path of a query with a chain of the test: dispatcher, processor and all counters. */

import { buildQuery, buildResponse, type NewRecord } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { Answer, ttlOffsetsOf } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import type { Query, RequestMetrics, Transport } from '../../../agent/query/query.ts';
import { ZoneTable } from '../../../agent/query/routing.ts';
import type { ServerLabel } from '../../../agent/query/services/block.ts';
import { AnswerDurations } from '../../../agent/server/answer-durations.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import {
  QueryProcessor,
  type QueryProcessorCounters,
} from '../../../agent/server/query-processor.ts';
import { FakeClock } from '../fake-clock.ts';
import { ReadableMetrics, RecordingLogger } from '../services.ts';

export const SERVER: ServerLabel = { index: 0, label: 'dns://127.0.0.1:53' };

export interface Recorded {
  readonly rcode: number;
  readonly bytes: number;
  readonly plugin: string;
}

/** Request metrics that record their calls. */
export class RecordingMetrics implements RequestMetrics {
  readonly recorded: Recorded[] = [];

  /** Durations of queries in milliseconds, and the number of queries with each. */
  readonly durations: [number, number][] = [];

  /** Traces and when they began. */
  readonly traces: [string, number][] = [];

  record(_query: Query, rcode: number, bytes: number, plugin: string): void {
    this.recorded.push({ rcode, bytes, plugin });
  }

  recordDuration(durationMs: number, count: number): void {
    this.durations.push([durationMs, count]);
  }

  traced(traceId: string, sinceMs: number): RequestMetrics {
    this.traces.push([traceId, sinceMs]);
    return this;
  }
}

export interface Fixture {
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly panics: { value: number };
  readonly metrics: ReadableMetrics;
  readonly requestMetrics: RecordingMetrics;
  readonly dropped: RecordingMetrics;
  readonly counters: QueryProcessorCounters;
  readonly dispatcher: Dispatcher;
  /** `maxUdpBytes`: the listener's limit of a UDP response. */
  processor(transport: Transport, maxUdpBytes?: number): QueryProcessor;
}

/** `handler` answers for `zone` (default the root), on every address. */
export function fixtureFor(
  handler: Handler,
  options: { readonly zone?: string; readonly anyClass?: boolean } = {},
): Fixture {
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const panics = { value: 0 };
  const metrics = new ReadableMetrics();
  const requestMetrics = new RecordingMetrics();
  const dropped = new RecordingMetrics();
  const dispatcher = new Dispatcher(log, panics);
  const { zone = '.', anyClass = false } = options;
  dispatcher.swap([new ZoneTable([{ zone, handler, requestMetrics, anyClass }], dropped)]);
  const counters = {
    tooShort: { value: 0 },
    notAQuery: { value: 0 },
    formErr: { value: 0 },
    notImp: { value: 0 },
    badVers: { value: 0 },
    durations: new AnswerDurations(metrics),
  };
  const processor = (transport: Transport, maxUdpBytes?: number): QueryProcessor =>
    new QueryProcessor(SERVER, transport, dispatcher, clock, counters, maxUdpBytes);
  return { clock, log, panics, metrics, requestMetrics, dropped, counters, dispatcher, processor };
}

/** An RD query with an OPT of `udpSizeBytes`, or without one. */
export function queryWire(name: string, id: number, udpSizeBytes?: number): Buffer {
  return buildQuery({
    name: nameFromText(name),
    type: TYPE.A,
    class: CLASS.IN,
    id,
    flags: FLAG.RD,
    dnssecOk: false,
    udpSizeBytes,
  });
}

/** `count` records of type TXT with `bytes` bytes of data each, TTL 60, received at `bornMs`. */
export function txtAnswer(name: string, count: number, bytes: number, bornMs?: number): Answer {
  const answer = Array.from({ length: count }, (_, i): NewRecord => {
    const rdata = Buffer.alloc(bytes, i);
    rdata[0] = bytes - 1;
    return { type: TYPE.TXT, ttlSeconds: 60, rdata };
  });
  const question = { name: nameFromText(name), type: TYPE.A, class: CLASS.IN };
  const wire = buildResponse(question, { rcode: RCODE.NOERROR, flags: FLAG.RA, answer });
  const ttlOffsets = ttlOffsetsOf(readRecords(wire) ?? []);
  return new Answer({ wire, ttlOffsets, rcode: RCODE.NOERROR, plugin: 'test', bornMs });
}

/** An answer to `query` with one record: the result of an echoing chain. */
export function answerTo(query: Query): Answer {
  return txtAnswer(query.nameText, 1, 4);
}
