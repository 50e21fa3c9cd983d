/**
 * What a plugin may use. Only shapes: `daemon.ts` fills them, tests fake them. What outlives a reload (cache, upstreams,
 * series) is the same object before and after; `block`, `admin` and `process` belong to one configuration.
 */
import type { Family } from '../base/address.ts';
import type { MemoryLedger } from '../base/clients/memory-ledger.ts';
import type { Clock } from '../base/clock.ts';
import type { AgentEvent } from '../base/events/table.ts';
import type { PacedWork } from '../base/paced-work.ts';
import type { Answer } from './answer.ts';
import type { Exports } from './exports.ts';
import type { Handler, Result } from './plugin.ts';
import type { InternalQuestion, Query } from './query.ts';
import type { Upstreams } from './upstreams.ts';

export type * from './upstreams.ts';

export interface Services {
  readonly clock: Clock;
  readonly log: Logger;
  /** Writes one line to standard output, buffered: the query log. */
  readonly writeLine: (line: string) => void;
  readonly metrics: Metrics;
  readonly cache: Cache;
  readonly upstreams: Upstreams;
  readonly files: Files;
  /** What clients and files make the process hold. */
  readonly ledger: MemoryLedger;
  /** Takes turns with DNS: for what takes long and may. */
  readonly work: PacedWork;
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

/**
 * A listener as metrics name it. `label` reads `dns://169.254.20.10:53`, and `dns://:53` for every address; `index` is
 * small, dense and never reused.
 */
export interface ServerLabel {
  readonly index: number;
  readonly label: string;
  /** Of the socket that a query came in at, where its listener has several. */
  readonly family?: Family;
  /** As `family`; undefined where the socket itself takes every address. */
  readonly address?: string;
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
  /** The node's addresses now. */
  readonly nodeAddresses?: () => readonly string[];
}

// ── observation ─────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Fields of one line. `event`, where there is one, is the event's name; of warnings and errors with the same `FOLD_BY`,
 * which is never written, only the first is written at once and repeats are counted. Without it the event's name
 * tells, else the message.
 */
export type LogFields = Readonly<Record<string, unknown>> & { readonly [FOLD_BY]?: string };

/** Of a warning or an error: its event is in the table of base/events. */
export type ProblemFields = LogFields & { readonly event: AgentEvent };

export const FOLD_BY: unique symbol = Symbol('fold by');

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: ProblemFields, message: string): void;
  error(fields: ProblemFields, message: string): void;
}

/**
 * What a client was limited for: it had the most queries waiting, its connection made the agent hold the most, it had the
 * most connections, it sent what is no query over TCP, it left its answers unread. On HTTP ports: it had the most
 * connections or memory, it was slow to ask or to read, it sent what is not HTTP.
 */
export type Limited =
  | 'queries'
  | 'memory'
  | 'connections'
  | 'nonsense'
  | 'unread'
  | 'http'
  | 'http_slow'
  | 'http_nonsense';

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

/** A page of series, one part after the other; shared and read-only. */
export interface MetricsText {
  readonly contentType: string;
  readonly body: readonly Uint8Array[];
}

/** Counters of one (listener, zone, view); made at routing, kept over reloads. */
export interface TrafficRow {
  /** Called once for every query, when its response has been sized. `plugin` made the answer; '' for the server. */
  record(query: Query, rcode: number, responseBytes: number, plugin: string): void;
  /** Called when responses leave: `count` queries have taken `durationMs` each. */
  took(durationMs: number, count: number): void;
}

// ── cache ───────────────────────────────────────────────────────────────────────────────────────────────────────

export type StaleMode = 'immediate' | 'verify';

export interface ServeStaleOptions {
  /** How long past its TTL an answer may be used, milliseconds. */
  readonly windowMs: number;
  readonly mode: StaleMode;
  /** What a client waits before it gets the stale answer, milliseconds: immediate 0, verify 200 (docs/outages.md). */
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

// ── process edge ────────────────────────────────────────────────────────────────────────────────────────────────

/** Content of a file, one chunk after the other. */
export interface OpenFile {
  /** Another for other content, as far as the system tells. */
  readonly identity: string;
  readonly sizeBytes: number;
  /** The next octets, to be used before the next call; none at the end. Rejects with what the system says. */
  read(): Promise<Uint8Array>;
  /** Whether the file is still what it was when it was opened. */
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Files {
  /** Text of a file of up to 2 MiB; U+FFFD stands for what is not UTF-8. Throws what the system says. */
  read(path: string): string;
  /** Opens a regular file of any size. Rejects with what the system says, and for anything else with what it is. */
  open(path: string): Promise<OpenFile>;
  /** Calls `onChange` after the file's content may have changed; looks at least every `intervalMs`. */
  watch(path: string, intervalMs: number, onChange: () => void): { close(): void };
}

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  /** In parts where it is long. Bytes are not copied, and must not change. */
  readonly body: string | Uint8Array | readonly Uint8Array[];
}

/** Answers one request; `params` is what stands behind the question mark. */
export type AdminHandler = (params: URLSearchParams) => AdminResponse | Promise<AdminResponse>;

/** Collects what this configuration wants served over HTTP; the listeners are reconciled when it takes over. */
export interface AdminRoutes {
  /** `address` is `host:port`, `:port` or `[v6]:port`. */
  add(address: string, path: string, handler: AdminHandler): void;
  /** Every series, at /metrics; under older names as well where one directive for this address wants them. */
  addMetrics(address: string, options: MetricsPageOptions): void;
}

export interface MetricsPageOptions {
  /** Also the names that CoreDNS has dropped (`observe/older-names.ts`). */
  readonly isOlder: boolean;
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
