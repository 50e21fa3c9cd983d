/** Exports spans to a Zipkin collector with OpenTelemetry's batching. Loaded only if a block has `trace`. */
import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { FinishedSpan, SpanExportOptions, SpanSink } from '../../query/services/exports.ts';

const EXPORT_TIMEOUT_MS = 5_000;
const RESOURCE = resourceFromAttributes({});
const SCOPE = { name: 'nodens' };

/** `onFailure` is called for every batch that the collector did not accept. */
export function zipkinSpans(
  options: SpanExportOptions,
  onFailure: (error: unknown) => void,
): SpanSink {
  const zipkin = new ZipkinExporter({ url: options.url, serviceName: options.service });
  const exporter: SpanExporter = {
    export: (spans, done) =>
      zipkin.export(spans, (result) => {
        if (result.error !== undefined) onFailure(result.error);
        // Reported already: the SDK would only print it.
        done({ code: 0 });
      }),
    shutdown: () => zipkin.shutdown(),
  };
  const processor = new BatchSpanProcessor({
    exporter,
    maxQueueSize: options.backlog,
    maxExportBatchSize: Math.min(options.batch, options.backlog),
    scheduledDelayMillis: options.intervalMs,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  return {
    add: (span) => processor.onEnd(readable(span)),
    close: () => void processor.shutdown().catch(onFailure),
  };
}

function readable(span: FinishedSpan): ReadableSpan {
  const { traceId, parentSpanId, name, startMs, durationMs, tags } = span;
  const context = (spanId: string) => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED });
  return {
    name,
    kind: parentSpanId === undefined ? SpanKind.SERVER : SpanKind.INTERNAL,
    spanContext: () => context(span.spanId),
    ...(parentSpanId === undefined ? {} : { parentSpanContext: context(parentSpanId) }),
    startTime: hrTime(startMs),
    endTime: hrTime(startMs + durationMs),
    duration: hrTime(durationMs),
    status: { code: SpanStatusCode.UNSET },
    attributes: tags,
    ...{ links: [], events: [], ended: true, resource: RESOURCE, instrumentationScope: SCOPE },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
