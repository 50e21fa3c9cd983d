/** OTLP as JSON over HTTP. The library also reads headers and certificates from OTEL_EXPORTER_OTLP_*. */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import type { SpanExporter } from '@opentelemetry/sdk-trace';

/** Posts to `url`; a batch is given up after `timeoutMillis`, with its retries. */
export function otlpExporter(url: string, timeoutMillis: number): SpanExporter {
  return new OTLPTraceExporter({ url, timeoutMillis });
}
