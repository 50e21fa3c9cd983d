/** `nodens status`: one picture of this agent. */
import type { Clock } from '../base/clock.ts';
import type { PacedWork } from '../base/paced-work.ts';
import type { ProcessCache } from '../cache/cache.ts';
import type { UpstreamsRoom } from '../upstream/upstreams.ts';
import type { StatusLine, UpstreamLine } from './protocol.ts';
import { type Buckets, type SeriesSource, SeriesSums } from './series-sums.ts';

/** What the picture is made of. */
export interface StatusParts {
  readonly clock: Clock;
  readonly work: PacedWork;
  readonly version: string;
  /** The tables behind /metrics. */
  readonly series: readonly SeriesSource[];
  readonly cache: Pick<ProcessCache, 'stats'>;
  readonly limitBytes: number;
  readonly upstreams: Pick<UpstreamsRoom, 'summary'>;
  readonly ledger: { readonly usedBytes: number; readonly clientBudgetBytes: number };
  readonly listeners: () => readonly string[];
  /** Hash of the configuration in force; undefined before the first. */
  readonly configuration: () => string | undefined;
  readonly notReadyReasons: () => readonly string[];
  readonly interception: () => string;
  /** Queries that wait for an answer. */
  readonly inFlight: () => number;
  readonly queryWatch: { readonly observers: number };
}

/** Key of these sums in `PacedWork`. */
const PACE_KEY = 'status';

/** How long answers took since the start, by their source. */
export interface AnswerTimes {
  readonly hit: Buckets;
  readonly miss: Buckets;
}

const HASH_DIGITS = 16;
const SUMMED = {
  queries: 'coredns_dns_requests_total',
  cached: 'coredns_cache_requests_total',
  hits: 'coredns_cache_hits_total',
  misses: 'coredns_cache_misses_total',
  stale: 'coredns_cache_served_stale_total',
  responses: 'coredns_dns_responses_total',
  isValid: 'nodens_config_valid',
  sent: 'nodens_upstream_queries_total',
  failed: 'nodens_upstream_failures_total',
  connections: 'nodens_upstream_connections',
  phases: 'nodens_upstream_phase_seconds',
  answerTimes: 'nodens_answer_duration_seconds',
} as const;

const { queries, cached, hits, misses, stale, isValid } = SUMMED;
const TOTALS = { queries, cached, hits, misses, stale, isValid };
const CACHE_COUNTERS = {
  requests: cached,
  hits,
  misses,
  stale,
  prefetches: 'coredns_cache_prefetch_total',
  evictions: 'coredns_cache_evictions_total',
  cuts: 'nodens_cache_nxdomain_cut_total',
  coalesced: 'nodens_cache_coalesced_total',
  flushed: 'nodens_cache_flushed_entries_total',
};

/** Makes the lines of `status`. `startedMs` is when the process began to serve. */
export class Status {
  readonly #parts: StatusParts;
  readonly #startedMs: number;
  readonly #startedAt: string;

  constructor(parts: StatusParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.nowMs();
    this.#startedAt = new Date(parts.clock.wallMs()).toISOString();
  }

  /** The current picture: sums of a dozen series, which a node with many upstreams has many of. */
  async line(): Promise<StatusLine> {
    const { version, cache, limitBytes, ledger, configuration, notReadyReasons } = this.#parts;
    const sums = new SeriesSums(this.#parts.series);
    const totals = sums.totals(TOTALS);
    const failures = sums.total(SUMMED.responses, { rcode: 'SERVFAIL' });
    const perUpstream = upstreamSums(sums);
    await this.#parts.work.finish(PACE_KEY, sums.read());
    const { answers, answerBytes, denials, denialBytes } = cache.stats();
    const notReady = notReadyReasons();
    return {
      line: 'status',
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      uptimeSeconds: Math.round((this.#parts.clock.nowMs() - this.#startedMs) / 1_000),
      configuration: (configuration() ?? '').slice(0, HASH_DIGITS),
      isConfigurationValid: totals.isValid.value === 1,
      listeners: this.#parts.listeners(),
      isReady: notReady.length === 0,
      notReady,
      interception: this.#parts.interception(),
      residentBytes: process.memoryUsage.rss(),
      cache: { bytes: answerBytes + denialBytes, limitBytes, answers, denials },
      clientMemory: { bytes: ledger.usedBytes, limitBytes: ledger.clientBudgetBytes },
      inFlight: this.#parts.inFlight(),
      observers: this.#parts.queryWatch.observers,
      // Without `prometheus` in any block only the cache counts.
      queries: totals.queries.value || totals.cached.value,
      hits: totals.hits.value,
      misses: totals.misses.value,
      stale: totals.stale.value,
      failures: failures.value,
      upstreams: upstreamLines(this.#parts.upstreams.summary(), perUpstream),
    };
  }

  /** Reads one histogram, which has few series. */
  answerTimes(): AnswerTimes {
    const sums = new SeriesSums(this.#parts.series);
    const of = (served: string): Buckets => sums.buckets(SUMMED.answerTimes, { served });
    return { hit: of('hit'), miss: of('miss') };
  }

  /** The cache's counters by name. */
  async cacheCounters(): Promise<Readonly<Record<string, number>>> {
    const sums = new SeriesSums(this.#parts.series);
    const totals = sums.totals(CACHE_COUNTERS);
    await this.#parts.work.finish(PACE_KEY, sums.read());
    return Object.fromEntries(Object.entries(totals).map(([name, { value }]) => [name, value]));
  }
}

/** Sums of series by the address of an upstream. */
type UpstreamSums = ReturnType<typeof upstreamSums>;

function upstreamSums(sums: SeriesSums) {
  const waits = { phase: 'wait' };
  return {
    counts: sums.byUpstream(SUMMED.phases, waits, '_count'),
    seconds: sums.byUpstream(SUMMED.phases, waits, '_sum'),
    sent: sums.byUpstream(SUMMED.sent),
    failed: sums.byUpstream(SUMMED.failed),
    connections: sums.byUpstream(SUMMED.connections),
  };
}

function upstreamLines(
  all: ReturnType<UpstreamsRoom['summary']>,
  { counts, seconds, sent, failed, connections }: UpstreamSums,
): readonly UpstreamLine[] {
  return all.map(({ group, to, state }) => {
    const replies = counts.get(to) ?? 0;
    const repliesMs = (seconds.get(to) ?? 0) * 1_000;
    return {
      ...{ group, to, state, replies, repliesMs },
      queries: sent.get(to) ?? 0,
      failures: failed.get(to) ?? 0,
      connections: connections.get(to) ?? 0,
      latencyMs: replies === 0 ? undefined : repliesMs / replies,
    };
  });
}
