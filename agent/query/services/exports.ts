/** What leaves the process for people who look on: spans, dnstap messages, profiles. */

/** A piece of work that is over, within a trace. */
export interface FinishedSpan {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  /** Milliseconds since the Unix epoch, and how long it took. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface SpanExportOptions {
  /** Zipkin's collector, as URL. */
  readonly url: string;
  readonly service: string;
  /** Spans that may wait; those beyond are dropped. */
  readonly backlog: number;
  /** Spans sent together at most, and how long they wait for each other, milliseconds. */
  readonly batch: number;
  readonly intervalMs: number;
}

/** Takes spans without ever waiting or throwing. */
export interface SpanSink {
  add(span: FinishedSpan): void;
  close(): void;
}

export type DnstapTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface FrameExportOptions {
  readonly target: DnstapTarget;
  /** Content type of the Frame Streams handshake. */
  readonly contentType: string;
  /** Frames, and octets, that may wait; those beyond are dropped and counted. */
  readonly maxFrames: number;
  readonly maxBytes: number;
}

/** Takes frames without ever waiting or throwing. */
export interface FrameSink {
  add(frame: Uint8Array): void;
  close(): void;
}

export type ProfileKind = 'cpu' | 'heap';

/** What needs sockets, or packages that only few want: loaded at first use. */
export interface Exports {
  spans(options: SpanExportOptions): SpanSink;
  frames(options: FrameExportOptions): FrameSink;
  /** A profile in pprof's format, gzipped. Rejects while another of its kind is being taken. */
  profile(kind: ProfileKind, seconds: number): Promise<Uint8Array>;
}
