/**
 * Messages of the admin socket: the command sends one request, one JSON object in a line; the agent answers with any
 * number of lines and closes. The last line is an `end` or an `error`: without one the answer is incomplete.
 */
import type { Served } from '../query/served.ts';

import type { ExplainedLine, ExplainRequest } from './explain/protocol.ts';

export type { ExplainedLine, ExplainedQuestion, ExplainRequest } from './explain/protocol.ts';

/** What `cache get` and `cache flush` ask for. `type` is a record type's number. */
export type CacheSelection =
  | { readonly name: string; readonly type?: number | undefined }
  | { readonly zone: string }
  | { readonly all: true };

/** One request. Names are in presentation format. */
export type AdminRequest =
  | { readonly command: 'cache-stats' }
  | { readonly command: 'cache-get'; readonly select: CacheSelection }
  | { readonly command: 'cache-flush'; readonly select: CacheSelection }
  | { readonly command: 'status' }
  | QueryRequest
  | ObserveRequest
  | ExplainRequest
  | { readonly command: 'log' }
  | TopRequest;

/** Asks a question through the chain, as the client at `client` would. */
export interface QueryRequest {
  readonly command: 'query';
  readonly name: string;
  readonly type: number;
  /** Numeric address. */
  readonly client: string;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly isTraced: boolean;
  readonly transport: 'udp' | 'tcp';
  /** `address:port` of the listener; undefined for the first one. */
  readonly listener?: string | undefined;
}

/** Queries as they are answered. Absent fields select every query. */
export interface ObserveRequest {
  readonly command: 'observe';
  /** Numeric address. */
  readonly client?: string | undefined;
  /** A name, in which `*` stands for any text. */
  readonly name?: string | undefined;
  readonly rcode?: number | undefined;
  readonly slowMs?: number | undefined;
  readonly isStale?: boolean | undefined;
}

/** A status and the heaviest clients and names, every `intervalMs`, until the connection ends. */
export interface TopRequest {
  readonly command: 'top';
  readonly intervalMs: number;
}

/** A stored entry: `answer`, `denial` or `failure`; `cut` is a denial of all names below its name. */
export interface EntryLine {
  readonly line: 'entry';
  /** The server block: its zones, ports, addresses and view. */
  readonly block: string;
  readonly name: string;
  readonly type: string;
  readonly class: string;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** Whether it depends on EDNS options that are sent upstream. */
  readonly hasOptions: boolean;
  readonly kind: 'answer' | 'denial' | 'failure' | 'cut';
  /** `stale-only`: within its TTL, from before a change of the configuration. `expired`: of no use any more. */
  readonly state: 'fresh' | 'stale' | 'stale-only' | 'expired';
  readonly rcode: string;
  /** Seconds left; negative after the TTL. */
  readonly ttlSeconds: number;
  /** Seconds for which it is still of use in an outage. */
  readonly usableSeconds: number;
  /** Undefined for an answer whose TTLs do not age. */
  readonly ageSeconds?: number | undefined;
  readonly bytes: number;
  /** The message, base64; its TTLs are those of now. */
  readonly wire: string;
}

/** Result of `cache-flush`. */
export interface FlushedLine {
  readonly line: 'flushed';
  readonly entries: number;
  readonly answers: number;
  readonly denials: number;
  readonly failures: number;
  readonly cuts: number;
  /** `none`: the agent keeps no snapshot. `failed`: a restart may bring the entries back. */
  readonly snapshot: 'written' | 'failed' | 'none';
}

/** Result of `cache-stats`. */
export interface CacheStatsLine {
  readonly line: 'cache-stats';
  readonly limitBytes: number;
  readonly answers: number;
  readonly answerBytes: number;
  readonly denials: number;
  readonly denialBytes: number;
  readonly inflightQueries: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly blocks: readonly {
    readonly block: string;
    readonly answers: number;
    readonly denials: number;
  }[];
}

/** One upstream of one group. */
export interface UpstreamLine {
  readonly group: string;
  /** `address:port`. */
  readonly to: string;
  readonly state: string;
  /** Since the start of the agent. */
  readonly queries: number;
  readonly failures: number;
  readonly connections: number;
  /** Mean time of a reply since the start, milliseconds; undefined before the first. */
  readonly latencyMs?: number | undefined;
  /** Sum of the times of all replies, milliseconds, and their number. */
  readonly repliesMs: number;
  readonly replies: number;
}

/** Result of `status`. Counters are totals since the start of the agent. */
export interface StatusLine {
  readonly line: 'status';
  readonly version: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** First 16 digits of the hash of the configuration in force. */
  readonly configuration: string;
  /** False if the Corefile on disk was refused. */
  readonly isConfigurationValid: boolean;
  readonly listeners: readonly string[];
  readonly isReady: boolean;
  readonly notReady: readonly string[];
  /** State of interception; `no init` if no init is expected, `disconnected` if it does not answer. */
  readonly interception: string;
  readonly residentBytes: number;
  readonly cache: {
    readonly bytes: number;
    readonly limitBytes: number;
    readonly answers: number;
    readonly denials: number;
  };
  readonly clientMemory: { readonly bytes: number; readonly limitBytes: number };
  readonly inFlight: number;
  /** Commands that look at queries now: `observe` and `top`. */
  readonly observers: number;
  readonly queries: number;
  readonly hits: number;
  readonly misses: number;
  readonly stale: number;
  readonly failures: number;
  readonly upstreams: readonly UpstreamLine[];
}

/** A client or a name of `top`, with counts of the last interval. */
export interface HeavyLine {
  readonly key: string;
  /** Of a client: its pod as `namespace/name`, where autopath's watch knows it. */
  readonly pod?: string | undefined;
  readonly queries: number;
  readonly hits: number;
  readonly nxdomain: number;
  readonly failures: number;
}

/** One picture of `top`. */
export interface TopLine {
  readonly line: 'top';
  readonly status: StatusLine;
  /** Length of the interval, milliseconds. */
  readonly elapsedMs: number;
  /** One query of so many was looked at for what follows. */
  readonly sampledOf: number;
  readonly clients: readonly HeavyLine[];
  readonly names: readonly HeavyLine[];
  /** Milliseconds; undefined if there was none. */
  readonly hitMs: Percentiles;
  readonly missMs: Percentiles;
  /** The last lines of the log, oldest first. */
  readonly events: readonly LoggedEvent[];
}

/** A line of the agent's log. */
export interface LoggedEvent {
  /** RFC 3339. */
  readonly time: string;
  readonly level: string;
  /** The event's name, where it has one. */
  readonly event?: string | undefined;
  readonly message: string;
}

/** Milliseconds; undefined without a value. */
export interface Percentiles {
  readonly p50?: number | undefined;
  readonly p99?: number | undefined;
}

/** A query that was answered. */
export interface ObservedLine {
  readonly line: 'query';
  /** RFC 3339. */
  readonly time: string;
  readonly client: string;
  readonly transport: 'udp' | 'tcp';
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly from: Served;
  /** The plugin that answered; `cache` for hits and misses alike. */
  readonly plugin: string;
  /** `address:port` of the upstream that was asked for this answer. */
  readonly upstream?: string | undefined;
  readonly durationMs: number;
}

/** Queries that `observe` did not show, since the line before, because there were too many. */
export interface SkippedLine {
  readonly line: 'skipped';
  readonly queries: number;
}

/** One step of a traced query. */
export interface TraceStep {
  readonly line: 'step';
  /** Milliseconds since the query began. */
  readonly atMs: number;
  readonly step: string;
  readonly text: string;
}

/** Result of `query`. */
export interface AnswerLine {
  readonly line: 'answer';
  /** The response as the client would get it, base64; empty if the query was dropped. */
  readonly wire: string;
  readonly listener: string;
  readonly durationMs: number;
  readonly from: Served;
  readonly plugin: string;
}

/** A line of the agent's log, as it was written. */
export interface LogLine {
  readonly line: 'log';
  readonly text: string;
}

/** The last line of an answer. */
export interface EndLine {
  readonly line: 'end';
}

/** The last line of an answer that failed. `usage`: the request was wrong. */
export interface ErrorLine {
  readonly line: 'error';
  readonly message: string;
  readonly isUsage: boolean;
}

/** Any line that the agent sends. */
export type AdminLine =
  | EntryLine
  | FlushedLine
  | CacheStatsLine
  | StatusLine
  | TopLine
  | ObservedLine
  | SkippedLine
  | TraceStep
  | AnswerLine
  | ExplainedLine
  | LogLine
  | EndLine
  | ErrorLine;
