/** Zipkin's format. */
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import type { SpanExporter } from '@opentelemetry/sdk-trace';

/** Posts to `url`. */
export function zipkinExporter(url: string, serviceName: string): SpanExporter {
  return new ZipkinExporter({ url, serviceName });
}
