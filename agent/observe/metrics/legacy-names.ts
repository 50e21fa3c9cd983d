/**
 * Names that dashboards and alert rules still use although CoreDNS has dropped them: it renamed its series in 1.7 and
 * moved those of upstreams from `coredns_forward_*` to `coredns_proxy_*` in 1.11. Only names with the same meaning.
 * They are not counted: each is computed at a scrape from a current series.
 */
import type { SERIES, SeriesSpec } from './names.ts';
import { type Family, lazily, type Sample, type Step } from './samples.ts';

type Current = keyof typeof SERIES;

/** How an older name is computed. */
export interface OlderName {
  /** The series it is computed from. */
  readonly of: Current;
  /** Its labels; samples that differ only in other labels are added up. */
  readonly labels: readonly string[];
  /** Exports a histogram's number of observations. */
  readonly counts?: true;
  /** If it differs from the type of `of`. */
  readonly type?: SeriesSpec['type'];
}

const ROUTE = ['server', 'zone', 'view'];
const BY_UPSTREAM: OlderName = {
  of: 'coredns_proxy_request_duration_seconds',
  labels: ['to'],
  counts: true,
};
const BY_UPSTREAM_AND_RCODE: OlderName = { ...BY_UPSTREAM, labels: ['to', 'rcode'] };
const PROBE_FAILURES: OlderName = {
  of: 'coredns_proxy_healthcheck_failures_total',
  labels: ['to'],
};

/** By older name. `prometheus { older_names }` exports them. */
export const OLDER_NAMES: Readonly<Record<string, OlderName>> = {
  coredns_panic_count_total: { of: 'coredns_panics_total', labels: [] },
  coredns_dns_request_count_total: {
    of: 'coredns_dns_requests_total',
    labels: [...ROUTE, 'proto', 'family'],
  },
  coredns_dns_request_type_count_total: {
    of: 'coredns_dns_requests_total',
    labels: [...ROUTE, 'type'],
  },
  coredns_dns_request_do_count_total: { of: 'coredns_dns_do_requests_total', labels: ROUTE },
  coredns_dns_response_rcode_count_total: {
    of: 'coredns_dns_responses_total',
    labels: [...ROUTE, 'rcode'],
  },
  coredns_cache_size: { of: 'coredns_cache_entries', labels: ['server', 'type'] },
  coredns_forward_requests_total: BY_UPSTREAM,
  coredns_forward_request_count_total: BY_UPSTREAM,
  coredns_forward_responses_total: BY_UPSTREAM_AND_RCODE,
  coredns_forward_response_rcode_count_total: BY_UPSTREAM_AND_RCODE,
  coredns_forward_request_duration_seconds: {
    of: 'coredns_proxy_request_duration_seconds',
    labels: ['to', 'rcode'],
  },
  coredns_forward_healthcheck_failures_total: PROBE_FAILURES,
  coredns_forward_healthcheck_failure_count_total: PROBE_FAILURES,
  coredns_forward_healthcheck_broken_count_total: {
    of: 'coredns_forward_healthcheck_broken_total',
    labels: [],
  },
  coredns_forward_max_concurrent_reject_count_total: {
    of: 'coredns_forward_max_concurrent_rejects_total',
    labels: [],
  },
  coredns_forward_conn_cache_hits_total: {
    of: 'coredns_proxy_conn_cache_hits_total',
    labels: ['to', 'proto'],
  },
  coredns_forward_conn_cache_misses_total: {
    of: 'coredns_proxy_conn_cache_misses_total',
    labels: ['to', 'proto'],
  },
  coredns_forward_sockets_open: { of: 'nodens_upstream_connections', labels: ['to'] },
  coredns_reload_failed_count_total: { of: 'coredns_reload_failed_total', labels: [] },
  // A linter refuses a counter without `_total`; rates and sums ignore the type.
  coredns_nodecache_setup_errors: {
    of: 'coredns_nodecache_setup_errors_total',
    labels: ['errortype'],
    type: 'gauge',
  },
};

/** The families of `OLDER_NAMES` that come from those in `families`. */
export function* olderNames(families: Iterable<Family>): Iterable<Family<Step>> {
  const current = new Map<string, Family>([...families].map((family) => [family.name, family]));
  for (const [name, older] of Object.entries(OLDER_NAMES)) {
    const family = current.get(older.of);
    if (family === undefined) continue;
    const type = older.type ?? (older.counts === true ? 'counter' : family.type);
    const values = lazily(() => viewOf(name, older, family));
    yield { name, type, help: `Older name: see ${older.of}.`, values };
  }
}

/** A step for each sample of `family`, then the sums. */
function* viewOf(
  name: string,
  { of, labels, counts }: OlderName,
  { values }: Family,
): Iterable<Step> {
  const sums = new Map<string, { metricName: string; labels: Sample['labels']; value: number }>();
  for (const sample of values) {
    yield undefined;
    const source = sample.metricName ?? of;
    if (counts === true && source !== `${of}_count`) continue;
    const metricName = counts === true ? name : source.replace(of, name);
    const kept = project(sample.labels, labels);
    const key = [metricName, ...Object.values(kept)].join('\u0000');
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { metricName, labels: kept, value: sample.value });
    else sum.value += sample.value;
  }
  yield* sums.values();
}

/** The labels listed in `names`, in their order, and a bucket's bound. */
function project(labels: Sample['labels'], names: readonly string[]): Sample['labels'] {
  const kept = [...names, 'le'].filter((label) => label in labels);
  return Object.fromEntries(kept.map((label) => [label, labels[label] as string]));
}
