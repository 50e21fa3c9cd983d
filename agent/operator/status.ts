/** `nodens status`: one picture of this agent. */
import type { Clock } from '../base/clock.ts';
import type { ProcessCache } from '../cache/cache.ts';
import type { Sample, Source as SeriesSource } from '../observe/metrics/samples.ts';
import type { UpstreamsRoom } from '../upstream/upstreams.ts';
import type { StatusLine, UpstreamLine } from './protocol.ts';

/** What the picture is made of. */
export interface StatusParts {
  readonly clock: Clock;
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

/** Cumulative counts of a histogram by upper bound in seconds, the last one Infinity; empty before the first value. */
export type Buckets = readonly { readonly le: number; readonly count: number }[];

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

  /** The current picture; reads a dozen series. */
  line(): StatusLine {
    const { version, cache, limitBytes, ledger, configuration, notReadyReasons } = this.#parts;
    const sums = new SeriesSums(this.#parts.series);
    const { answers, answerBytes, denials, denialBytes } = cache.stats();
    const notReady = notReadyReasons();
    return {
      line: 'status',
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      uptimeSeconds: Math.round((this.#parts.clock.nowMs() - this.#startedMs) / 1_000),
      configuration: (configuration() ?? '').slice(0, HASH_DIGITS),
      isConfigurationValid: sums.of(SUMMED.isValid) === 1,
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
      queries: sums.of(SUMMED.queries) || sums.of(SUMMED.cached),
      hits: sums.of(SUMMED.hits),
      misses: sums.of(SUMMED.misses),
      stale: sums.of(SUMMED.stale),
      failures: sums.of(SUMMED.responses, { rcode: 'SERVFAIL' }),
      upstreams: upstreamLines(this.#parts.upstreams.summary(), sums),
    };
  }

  /** Reads one histogram. */
  answerTimes(): AnswerTimes {
    const sums = new SeriesSums(this.#parts.series);
    const of = (served: string): Buckets => sums.buckets(SUMMED.answerTimes, { served });
    return { hit: of('hit'), miss: of('miss') };
  }

  /** The cache's counters by name. */
  cacheCounters(): Readonly<Record<string, number>> {
    const sums = new SeriesSums(this.#parts.series);
    const counters = {
      requests: SUMMED.cached,
      hits: SUMMED.hits,
      misses: SUMMED.misses,
      stale: SUMMED.stale,
      prefetches: 'coredns_cache_prefetch_total',
      evictions: 'coredns_cache_evictions_total',
      cuts: 'nodens_cache_nxdomain_cut_total',
      coalesced: 'nodens_cache_coalesced_total',
      flushed: 'nodens_cache_flushed_entries_total',
    };
    return Object.fromEntries(
      Object.entries(counters).map(([name, series]) => [name, sums.of(series)]),
    );
  }
}

/** Reads each family once: once for each upstream would take a time that grows with the square of their number. */
function upstreamLines(
  all: ReturnType<UpstreamsRoom['summary']>,
  sums: SeriesSums,
): readonly UpstreamLine[] {
  const waits = { phase: 'wait' };
  const counts = sums.byUpstream(SUMMED.phases, waits, '_count');
  const seconds = sums.byUpstream(SUMMED.phases, waits, '_sum');
  const sent = sums.byUpstream(SUMMED.sent);
  const failed = sums.byUpstream(SUMMED.failed);
  const connections = sums.byUpstream(SUMMED.connections);
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

/** Sums of series by name, read when they are asked for. */
class SeriesSums {
  readonly #families: ReadonlyMap<string, Iterable<Sample>>;

  constructor(sources: readonly SeriesSource[]) {
    const families = sources.flatMap((source) => [...source.families()]);
    this.#families = new Map(families.map(({ name, values }) => [name, values]));
  }

  /** Sum of the samples of `name` that have `labels`. */
  of(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const sample of this.#families.get(name) ?? [])
      if (hasLabels(sample, labels)) sum += sample.value;
    return sum;
  }

  /** The same by the label `to`; `suffix` is `_sum` or `_count` of a histogram. */
  byUpstream(
    name: string,
    labels: Readonly<Record<string, string>> = {},
    suffix = '',
  ): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    const metricName = `${name}${suffix}`;
    for (const sample of this.#families.get(name) ?? []) {
      if ((sample.metricName ?? name) !== metricName || !hasLabels(sample, labels)) continue;
      const { to = '' } = sample.labels;
      found.set(to, (found.get(to) ?? 0) + sample.value);
    }
    return found;
  }

  /** The buckets of the histogram `name` with `labels`, which must select one series. */
  buckets(name: string, labels: Readonly<Record<string, string>>): Buckets {
    const all = [...(this.#families.get(name) ?? [])].filter(
      (sample) => sample.metricName === `${name}_bucket` && hasLabels(sample, labels),
    );
    return all.map(({ labels: { le }, value }) => ({
      le: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
      count: value,
    }));
  }
}

function hasLabels({ labels }: Sample, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([label, value]) => labels[label] === value);
}
