/** Exports spans, dnstap frames and profiles. Their modules are loaded at first use. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type {
  Exports,
  FinishedSpan,
  SpanExportOptions,
  SpanSink,
} from '../../query/services/exports.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import { FrameStream } from './frame-stream.ts';

/** Clock of the exports, and where they report failures. */
export interface ExportsContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The exports of the process. Nothing is loaded or connected before one of its functions is called. */
export function createExports(context: ExportsContext): Exports {
  return {
    spans: (options) => lateSpans(options, context),
    frames: (options) => new FrameStream(options, context),
    profile: async (kind, seconds) => {
      const { takeProfile } = await import('./profiles.ts');
      return await takeProfile(kind, seconds, context.clock);
    },
  };
}

/** Accepts spans at once; those that arrive while the SDK is loading wait, within the backlog. */
function lateSpans(options: SpanExportOptions, { log, metrics }: ExportsContext): SpanSink {
  const failures = metrics.counter('nodens_trace_export_failures_total');
  const collector = shown(options.url);
  const waiting: FinishedSpan[] = [];
  let sink: SpanSink | undefined;
  let isClosed = false;
  const failed = (error: unknown): void => {
    failures.value++;
    log.warn({ event: 'trace-export', collector }, `cannot export spans: ${messageOf(error)}`);
  };
  import('./spans.ts')
    .then(({ exportedSpans }) => exportedSpans(options, failed))
    .then((made) => {
      for (const span of waiting.splice(0)) made.add(span);
      if (isClosed) made.close();
      else sink = made;
    }, failed);
  return {
    add: (span) => {
      if (sink !== undefined) sink.add(span);
      else if (waiting.length < options.backlog && !isClosed) waiting.push(span);
    },
    close: () => {
      isClosed = true;
      sink?.close();
    },
  };
}

/** A URL as logs may have it: user, password and parameters may open the collector to others. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
