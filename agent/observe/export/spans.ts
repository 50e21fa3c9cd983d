/** Exports spans to a collector with OpenTelemetry's batching. Loaded only if a block has `trace`. */
import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { FinishedSpan, SpanExportOptions, SpanSink } from '../../query/services/exports.ts';

const EXPORT_TIMEOUT_MS = 5_000;
const SCOPE = { name: 'nodens' };

/** Loads the exporter of one format, and no other. `onFailure` is called for every batch that the collector did not accept. */
export async function exportedSpans(
  options: SpanExportOptions,
  onFailure: (error: unknown) => void,
): Promise<SpanSink> {
  const format = await exporterOf(options);
  const exporter: SpanExporter = {
    export: (spans, done) =>
      format.export(spans, (result) => {
        if (result.error !== undefined) onFailure(result.error);
        // Reported already: the SDK would only print it.
        done({ code: 0 });
      }),
    shutdown: () => format.shutdown(),
  };
  const processor = new BatchSpanProcessor({
    exporter,
    maxQueueSize: options.backlog,
    maxExportBatchSize: Math.min(options.batch, options.backlog),
    scheduledDelayMillis: options.intervalMs,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  // The exporter for Zipkin would write attributes of the resource into each span.
  const attributes = options.format === 'otlp' ? { 'service.name': options.service } : {};
  const resource = resourceFromAttributes(attributes);
  return {
    add: (span) => processor.onEnd(readable(span, resource)),
    close: () => void processor.shutdown().catch(onFailure),
  };
}

async function exporterOf({ format, url, service }: SpanExportOptions): Promise<SpanExporter> {
  if (format === 'zipkin') {
    const { zipkinExporter } = await import('./zipkin-exporter.ts');
    return zipkinExporter(url, service);
  }
  const { otlpExporter } = await import('./otlp-exporter.ts');
  return otlpExporter(url, EXPORT_TIMEOUT_MS);
}

function readable(span: FinishedSpan, resource: Resource): ReadableSpan {
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
    ...{ links: [], events: [], ended: true, resource, instrumentationScope: SCOPE },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
