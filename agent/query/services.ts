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

/** A set of upstreams that answer the same questions. */
export interface UpstreamGroupOptions {
  /** Value of the label `proxy_name`: the plugin that forwards. */
  readonly name: string;
  readonly targets: readonly Endpoint[];
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
  readonly body: string;
}

/** Collects what this configuration wants served over HTTP; the listeners are reconciled when it takes over. */
export interface AdminRoutes {
  /** `address` is `host:port`, `:port` or `[v6]:port`. */
  add(address: string, path: string, handler: () => AdminResponse | Promise<AdminResponse>): void;
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
  /** Names of plugins, of every block, that are not ready to answer. */
  unready(): readonly string[];
}
