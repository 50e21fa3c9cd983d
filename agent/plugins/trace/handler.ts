/** Spans of sampled queries: `servedns` for the whole chain, and a child span for each plugin that was called. */
import type { Clock } from '../../base/clock.ts';
import { DnsError, DropQuery } from '../../base/errors.ts';
import { RCODE, rcodeName, typeName } from '../../dns/iana.ts';
import type { Handle, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import type { FinishedSpan } from '../../query/services/exports.ts';

/** What tracing needs. `random` is at least 0 and below 1, as `Math.random`. */
export interface TracingParts {
  readonly clock: Clock;
  readonly random: () => number;
  /** One query in this many is traced. */
  readonly every: number;
  readonly add: (span: FinishedSpan) => void;
}

/** A trace in progress. */
interface Trace {
  readonly traceId: string;
  /** The parent of the next span. */
  spanId: string;
}

/** The tracing of one block: `handle` begins a trace, `watch` adds a span for each plugin. */
export class Tracing {
  readonly #parts: TracingParts;
  /** Contains only traced queries, while their chain runs. */
  readonly #traces = new Map<Query, Trace>();
  #count = 0;

  constructor(parts: TracingParts) {
    this.#parts = parts;
  }

  readonly handle: Handle = (query, next) => {
    if (query.isInternal || ++this.#count < this.#parts.every) return next(query);
    this.#count = 0;
    const trace: Trace = { traceId: this.#id() + this.#id(), spanId: this.#id() };
    this.#traces.set(query, trace);
    query.metadata?.set('trace/traceid', trace.traceId);
    query.requestMetrics = query.requestMetrics?.traced(trace.traceId, this.#parts.clock.wallMs());
    // Read now: the query object is reused after a synchronous answer.
    const { client, transport } = query;
    const tags = {
      'coredns.io/name': query.nameText,
      'coredns.io/type': typeName(query.type),
      'coredns.io/proto': transport,
      'coredns.io/remote': client.address,
    };
    const { traceId, spanId } = trace;
    const finish = this.#timer({ traceId, spanId, name: 'servedns' });
    const done = (rcode: number): void => {
      this.#traces.delete(query);
      finish({ ...tags, 'coredns.io/rcode': rcodeName(rcode) });
    };
    return observed(query, next, done);
  };

  /** A span around `handle` for traced queries; other queries cost one lookup in a map that is usually empty. */
  readonly watch = (name: string, handle: Handle): Handle => {
    return (query, next) => {
      const trace = this.#traces.get(query);
      if (trace === undefined) return handle(query, next);
      const parentSpanId = trace.spanId;
      const spanId = this.#id();
      trace.spanId = spanId;
      const finish = this.#timer({ traceId: trace.traceId, spanId, parentSpanId, name });
      return observed(
        query,
        (same) => handle(same, next),
        () => finish({}),
      );
    };
  };

  #timer(span: Pick<FinishedSpan, 'traceId' | 'spanId' | 'parentSpanId' | 'name'>) {
    const { clock, add } = this.#parts;
    const startMs = clock.wallMs();
    const fromMs = clock.nowMs();
    return (tags: FinishedSpan['tags']): void =>
      add({ ...span, startMs, durationMs: clock.nowMs() - fromMs, tags });
  }

  /** 16 hexadecimal digits. */
  #id(): string {
    const half = (): string =>
      Math.floor(this.#parts.random() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0');
    return half() + half();
  }
}

/** Calls `done` with the rcode of the answer or error, and changes neither. */
function observed(
  query: Query,
  next: (query: Query) => Result,
  done: (rcode: number) => void,
): Result {
  return after(
    next,
    query,
    (answer) => {
      done(answer.rcode);
      return answer;
    },
    (error) => {
      done(rcodeOf(error));
      throw error;
    },
  );
}

/** A dropped query is not a failure. */
function rcodeOf(error: unknown): number {
  if (error instanceof DropQuery) return RCODE.NOERROR;
  return error instanceof DnsError ? error.rcode : RCODE.SERVFAIL;
}
