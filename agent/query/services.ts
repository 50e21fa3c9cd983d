/**
 * What a plugin may use. Only shapes: `daemon.ts` fills them, tests fake them. What outlives a reload (cache, upstreams,
 * series) is the same object before and after; `block`, `admin` and `process` belong to one configuration.
 */
import type { Endpoint } from '../base/address.ts';
import type { Clock } from '../base/clock.ts';
import type { Reply } from '../dns/reply.ts';
import type { Answer } from './answer.ts';
import type { Handler, Result } from './plugin.ts';
import type { InternalQuestion, Query, Transport } from './query.ts';

export interface Services {
  readonly clock: Clock;
  readonly log: Logger;
  /** Writes one line to standard output, buffered: the query log. */
  readonly writeLine: (line: string) => void;
  readonly metrics: Metrics;
  /** Every series as the text that Prometheus scrapes. */
  readonly metricsText: () => Promise<MetricsText>;
  readonly cache: Cache;
  readonly upstreams: Upstreams;
  readonly files: Files;
  readonly admin: AdminRoutes;
  readonly process: ProcessSettings;
  readonly block: BlockContext;
  /**
   * Asks the whole server, from routing on: for plugins that need another name's answer. Never rejects: a failure is an
   * answer, too (SERVFAIL, REFUSED).
   */
  readonly resolve: (question: InternalQuestion) => Promise<Answer>;
  /** Uniform random number in [0, 1); not for IDs or ports. */
  readonly random: () => number;
  readonly exports: Exports;
}

/** A listener as metrics name it. `label` reads `dns://169.254.20.10:53`; `index` is small, dense and never reused. */
export interface ServerLabel {
  readonly index: number;
  readonly label: string;
}

/** The server block a plugin is set up for. */
export interface BlockContext {
  /** Identity by zones, ports, binds and view; the same integer before and after a reload, at most 65,535. */
  readonly id: number;
  /** Lower-case zones with trailing dot. */
  readonly zones: readonly string[];
  /** Fingerprint of all directives below `cache`: when it changes, cached answers may no longer be right. */
  readonly belowCache: string;
  readonly servers: readonly ServerLabel[];
  /** `address:port` of every listener of the configuration, other blocks' too. */
  readonly listening?: readonly string[];
}

// ── observation ─────────────────────────────────────────────────────────────────────────────────────────────────

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type Labels = Readonly<Record<string, string>>;

/** Count with `counter.value++`: a plain number, read when somebody scrapes. */
export interface Counter {
  value: number;
}

export interface Gauge {
  value: number;
}

export interface Histogram {
  observe(value: number): void;
}

/**
 * Series by the names in `observe/names.ts`. The same name and labels always give the same object, so counters go on
 * over reloads. Throws InternalError for a name that is not in the table or labels that are not its own.
 */
export interface Metrics {
  counter(name: string, labels?: Labels): Counter;
  gauge(name: string, labels?: Labels): Gauge;
  histogram(name: string, labels?: Labels): Histogram;
  /** A gauge that is computed at each scrape. A second call replaces the function. */
  gaugeFrom(name: string, labels: Labels, read: () => number): void;
  /** Forgets one series, such as an info gauge whose label value has changed. */
  drop(name: string, labels: Labels): void;
}

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

/** Counters of one (listener, zone, view); made at routing, kept over reloads. */
export interface TrafficRow {
  /** Called once for every query, when its response has been sized. `plugin` made the answer; '' for the server. */
  record(
    query: Query,
    rcode: number,
    responseBytes: number,
    durationMs: number,
    plugin: string,
  ): void;
}

// ── cache ───────────────────────────────────────────────────────────────────────────────────────────────────────

export type StaleMode = 'immediate' | 'verify';

export interface ServeStaleOptions {
  /** How long past its TTL an answer may be used, milliseconds. */
  readonly windowMs: number;
  readonly mode: StaleMode;
  /** What a client waits before it gets the stale answer, milliseconds (design §6.2): immediate 0, verify 200. */
  readonly budgetMs: number;
  /** TTL of a stale answer, seconds (RFC 8767 §4: 30). */
  readonly ttlSeconds: number;
  /** After a failed refresh stale is given at once for this long, milliseconds. */
  readonly recheckMs: number;
}

/** How long and how much one kind of answer is kept. */
export interface KeepOptions {
  /** Most entries of this block; its own entries make room, never another block's. */
  readonly capacity: number;
  readonly maxTtlSeconds: number;
  readonly minTtlSeconds: number;
}

export interface CacheOptions {
  readonly success: KeepOptions;
  readonly denial: KeepOptions;
  /** How long SERVFAIL is remembered, milliseconds; 0 not at all (RFC 9520). */
  readonly servfailMs: number;
  /** Zones, lower-case wire form, whose answers or denials are not stored. */
  readonly disableSuccess: readonly Uint8Array[];
  readonly disableDenial: readonly Uint8Array[];
  /** Give out the original TTL until expiry. */
  readonly keepTtl: boolean;
  readonly prefetch: PrefetchOptions | undefined;
  readonly serveStale: ServeStaleOptions | undefined;
  readonly lastKnownGood: LastKnownGoodOptions | undefined;
  /** Zones, lower-case wire form, in which nothing exists below a name that does not (RFC 8020). */
  readonly nxdomainCut: readonly Uint8Array[];
  readonly cluster: ClusterOptions;
}

/** What holds for names that Kubernetes makes and removes at any moment. */
export interface ClusterOptions {
  /** Cluster domains, lower-case wire form. */
  readonly domains: readonly Uint8Array[];
  /** How their denials are kept: a Service that is missing now may be there in a second. */
  readonly denial: KeepOptions;
}

/** Answers that outlive a denial, for upstreams that begin to deny many names they used to answer. */
export interface LastKnownGoodOptions {
  /** How long past its TTL an answer may stand against a denial, milliseconds. */
  readonly windowMs: number;
  /** Zones, lower-case wire form; cluster domains are left out whatever they say. */
  readonly zones: readonly Uint8Array[];
}

export interface PrefetchOptions {
  /** Hits within `windowMs` of each other that make a name popular. */
  readonly amount: number;
  readonly windowMs: number;
  /** Share of the TTL, in percent, that is left when a popular entry is refreshed. */
  readonly percentage: number;
}

/** One block's view of the cache. */
export interface BlockCache {
  /** Answers from the cache, or runs `next` once for all who ask the same, and stores what it brings. */
  handle(query: Query, next: Handler): Result;
}

export interface Cache {
  open(block: BlockContext, zonesLabel: string, options: CacheOptions): BlockCache;
}

// ── upstream ────────────────────────────────────────────────────────────────────────────────────────────────────

export type Policy = 'random' | 'round_robin' | 'sequential';

/** DNS over TLS to one upstream (RFC 7858): always verified, by name where there is one, else by address. */
export interface UpstreamTls {
  readonly serverName?: string | undefined;
  /** PEM texts: who is trusted (undefined: whom the system trusts), and what we show the upstream. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface UpstreamTarget extends Endpoint {
  /** Undefined: plain DNS. */
  readonly tls?: UpstreamTls | undefined;
}

/** A set of upstreams that answer the same questions. */
export interface UpstreamGroupOptions {
  /** Value of the label `proxy_name`: the plugin that forwards. */
  readonly name: string;
  /** Where there is none, every query ends with SERVFAIL. */
  readonly targets: readonly UpstreamTarget[];
  readonly policy: Policy;
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** Failed probes in a row above which an upstream counts as down; 0: never, and no probes. */
  readonly maxFails: number;
  readonly healthCheck: HealthCheckOptions;
  /** An idle connection is closed after this, milliseconds. */
  readonly expireMs: number;
  /** Queries under way at once; 0: no bound of its own. */
  readonly maxConcurrent: number;
  /** Upstreams tried for one query; 0: as many as the deadline allows. */
  readonly maxConnectAttempts: number;
  /** SERVFAIL at once when every upstream is down, instead of trying one of them. */
  readonly failFastAllUnhealthy: boolean;
  /** Rcodes on which another upstream is tried. */
  readonly failoverRcodes: readonly number[];
  /** A connection takes no queries after about this, milliseconds; 0: no bound. Undefined: as the transport has it. */
  readonly maxAgeMs?: number | undefined;
  /** Idle connections kept to one upstream; 0 or undefined: all. */
  readonly maxIdleConnections?: number | undefined;
  /** No reply for this long, milliseconds, is one too late; undefined: learned from the upstream. */
  readonly readTimeoutMs?: number | undefined;
  /** Random letter case in questions over UDP, which the reply must repeat (draft-vixie-dnsext-dns0x20). */
  readonly randomizeCase?: boolean | undefined;
  /** A UDP socket of its own, and so a port, for each query. */
  readonly socketPerQuery?: boolean | undefined;
  /**
   * Name, wire form, that the targets resolve to the endpoints behind them: those are asked, the targets only where no
   * endpoint is of use.
   */
  readonly endpointsName?: Uint8Array | undefined;
}

export interface HealthCheckOptions {
  readonly intervalMs: number;
  readonly recursionDesired: boolean;
  /** Wire name asked (type NS). */
  readonly domain: Uint8Array;
}

/** What goes up: our own query, not the client's (design §4.5). */
export interface UpstreamQuestion {
  /** Lower-case wire form. Kept as long as the exchange runs. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
  /** EDNS options, as on the wire, to send along. */
  readonly options?: Uint8Array | undefined;
  /** Transport of the client, which UDP-capable groups follow for TCP (peer behaviour). */
  readonly clientTransport: Transport;
}

export interface UpstreamReply {
  readonly reply: Reply;
  /** Who answered, `address:port`. */
  readonly upstream: string;
  readonly transport: Transport;
}

export interface UpstreamGroup {
  /**
   * One question, one deadline (`budgetMs` from now). Rejects with DnsError(SERVFAIL, …) carrying an extended error
   * (network error 23, no reachable authority 22), or DnsError(REFUSED) over `maxConcurrent`.
   */
  exchange(question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply>;
  /** Lets go of the group; its upstreams are closed when no group uses them any more. */
  release(): void;
}

export interface Upstreams {
  /** Connections and health are shared with every group that names the same target, and live over reloads. */
  group(options: UpstreamGroupOptions): UpstreamGroup;
}

// ── what leaves the process for people who look on ──────────────────────────────────────────────────────────────────

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

// ── process edge ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Files {
  /** Text of a file. Throws what the system says. */
  read(path: string): string;
  /** Calls `onChange` after the file's content may have changed; looks at least every `intervalMs`. */
  watch(path: string, intervalMs: number, onChange: () => void): { close(): void };
}

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** Answers one request; `params` is what stands behind the question mark. */
export type AdminHandler = (params: URLSearchParams) => AdminResponse | Promise<AdminResponse>;

/** Collects what this configuration wants served over HTTP; the listeners are reconciled when it takes over. */
export interface AdminRoutes {
  /** `address` is `host:port`, `:port` or `[v6]:port`. */
  add(address: string, path: string, handler: AdminHandler): void;
}

/** Patience with TCP clients; what is absent keeps its default. */
export interface TcpPatience {
  /** How long a connection may be without its first query, milliseconds; as `idleMs` by default. */
  readonly readMs?: number;
  /** How long a client may leave answers unread, milliseconds. */
  readonly writeMs?: number;
  /** How long a connection may be without a query, milliseconds. */
  readonly idleMs?: number;
  /** Queries after which a connection is answered and closed. */
  readonly maxQueries?: number;
}

/** What a directive may ask of the whole process. The last block that says wins. */
export interface ProcessSettings {
  /** Answer on for this long after shutdown begins, milliseconds. */
  lameduck(durationMs: number): void;
  /** Look for a changed Corefile at this interval, milliseconds; 0 jitter allowed. */
  reload(intervalMs: number, jitterMs: number): void;
  debug(): void;
  /** Measure this block's queries (`coredns_dns_*`). */
  measureTraffic(): void;
  /** Patience with clients of the addresses that this block is served on. */
  tcpPatience(patience: TcpPatience): void;
  /** Names of plugins, of every block, that are not ready to answer. */
  unready(): readonly string[];
}
