/** Data that leaves the process for observers: spans, dnstap messages, profiles. */

/** A finished piece of work within a trace. */
export interface FinishedSpan {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  /** Milliseconds since the Unix epoch, and the duration. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** Zipkin's format version 2, or OTLP as JSON over HTTP. */
export type SpanFormat = 'zipkin' | 'otlp';

/** Where spans go, and how many may wait. */
export interface SpanExportOptions {
  readonly format: SpanFormat;
  /** URL of the collector. */
  readonly url: string;
  readonly service: string;
  /** Maximum spans that wait; further spans are dropped. */
  readonly backlog: number;
  /** Maximum spans in one request, and how long they wait for each other, milliseconds. */
  readonly batch: number;
  readonly intervalMs: number;
}

/** Accepts spans without ever waiting or throwing. */
export interface SpanSink {
  add(span: FinishedSpan): void;
  close(): void;
}

/** Where dnstap messages go: a Unix socket, or a host and a TCP port, perhaps over TLS. */
export type DnstapTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'tls';
      readonly host: string;
      readonly port: number;
      /** Whether the certificate must be of a known authority and contain `host`. */
      readonly isVerified: boolean;
    };

/** One connection that carries dnstap messages as Frame Streams. */
export interface FrameExportOptions {
  readonly target: DnstapTarget;
  /** Content type of the Frame Streams handshake. */
  readonly contentType: string;
  /** Maximum frames, and bytes, that wait; further ones are dropped and counted. */
  readonly maxFrames: number;
  readonly maxBytes: number;
}

/** Accepts frames without ever waiting or throwing. */
export interface FrameSink {
  add(frame: Uint8Array): void;
  close(): void;
}

/** Time in functions, or allocations by function; both from V8's samplers. */
export type ProfileKind = 'cpu' | 'heap';

/** Features that need sockets, or packages that few users need: loaded at first use. */
export interface Exports {
  spans(options: SpanExportOptions): SpanSink;
  frames(options: FrameExportOptions): FrameSink;
  /** A profile in pprof's format, gzipped. Rejects while another profile of the same kind is being taken. */
  profile(kind: ProfileKind, seconds: number): Promise<Uint8Array>;
}
