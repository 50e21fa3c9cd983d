/**
 * The series of node-local-dns (CoreDNS 1.13 to 1.14 inside), written down from its behaviour and not from our own table:
 * a name, a label or a bucket that changes here breaks dashboards.
 */
export interface ExpectedSeries {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  /** Upper bounds without +Inf; histograms only. */
  readonly buckets?: readonly number[];
}

const SECONDS: readonly number[] = [
  ...[0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032],
  ...[0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192],
];
const SLIM_SECONDS: readonly number[] = [0.00025, 0.0025, 0.025, 0.25, 2.5];
const BYTE_BOUNDS: readonly number[] = [
  ...[0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291],
  ...[16000, 32000, 48000, 64000],
];

const counter = (...labels: string[]): ExpectedSeries => ({ type: 'counter', labels });
const gauge = (...labels: string[]): ExpectedSeries => ({ type: 'gauge', labels });
const histogram = (buckets: readonly number[], ...labels: string[]): ExpectedSeries => ({
  type: 'histogram',
  labels,
  buckets,
});

/** The series of every installation of node-local-dns, and those of its plugins in use. */
export const NODE_LOCAL_DNS_SERIES: Readonly<Record<string, ExpectedSeries>> = {
  coredns_build_info: gauge('version', 'revision', 'goversion'),
  coredns_panics_total: counter(),
  coredns_plugin_enabled: gauge('server', 'zone', 'view', 'name'),
  coredns_dns_requests_total: counter('server', 'zone', 'view', 'proto', 'family', 'type'),
  coredns_dns_request_duration_seconds: histogram(SECONDS, 'server', 'zone', 'view'),
  coredns_dns_request_size_bytes: histogram(BYTE_BOUNDS, 'server', 'zone', 'view', 'proto'),
  coredns_dns_response_size_bytes: histogram(BYTE_BOUNDS, 'server', 'zone', 'view', 'proto'),
  coredns_dns_do_requests_total: counter('server', 'zone', 'view'),
  coredns_dns_responses_total: counter('server', 'zone', 'view', 'rcode', 'plugin'),

  coredns_cache_entries: gauge('server', 'type', 'zones', 'view'),
  coredns_cache_hits_total: counter('server', 'type', 'zones', 'view'),
  coredns_cache_misses_total: counter('server', 'zones', 'view'),
  coredns_cache_requests_total: counter('server', 'zones', 'view'),
  coredns_cache_prefetch_total: counter('server', 'zones', 'view'),
  coredns_cache_drops_total: counter('server', 'zones', 'view'),
  coredns_cache_served_stale_total: counter('server', 'zones', 'view'),
  coredns_cache_evictions_total: counter('server', 'type', 'zones', 'view'),

  coredns_forward_healthcheck_broken_total: counter(),
  coredns_forward_max_concurrent_rejects_total: counter(),
  coredns_proxy_request_duration_seconds: histogram(SECONDS, 'proxy_name', 'to', 'rcode'),
  coredns_proxy_healthcheck_failures_total: counter('proxy_name', 'to'),
  coredns_proxy_conn_cache_hits_total: counter('proxy_name', 'to', 'proto'),
  coredns_proxy_conn_cache_misses_total: counter('proxy_name', 'to', 'proto'),

  coredns_health_request_duration_seconds: histogram(SLIM_SECONDS),
  coredns_health_request_failures_total: counter(),
  coredns_reload_failed_total: counter(),
  coredns_reload_version_info: gauge('hash', 'value'),
  coredns_hosts_entries: gauge('hostsfile'),
  coredns_hosts_reload_timestamp_seconds: gauge(),
  coredns_nodecache_setup_errors_total: counter('errortype'),

  coredns_acl_allowed_requests_total: counter('server', 'view'),
  coredns_acl_blocked_requests_total: counter('server', 'zone', 'view'),
  coredns_acl_filtered_requests_total: counter('server', 'zone', 'view'),
  coredns_acl_dropped_requests_total: counter('server', 'zone', 'view'),
  coredns_local_localhost_requests_total: counter(),
  coredns_dns64_requests_translated_total: counter('server'),
  coredns_template_matches_total: counter('server', 'zone', 'view', 'class', 'type'),
  coredns_template_template_failures_total: counter(
    ...['server', 'zone', 'view', 'class', 'type', 'section', 'template'],
  ),
  coredns_template_rr_failures_total: counter(
    ...['server', 'zone', 'view', 'class', 'type', 'section', 'template'],
  ),
};

/** Names that node-local-dns has dropped but dashboards still use, with their labels. */
export const DROPPED_SERIES: Readonly<Record<string, ExpectedSeries>> = {
  coredns_panic_count_total: counter(),
  coredns_dns_request_count_total: counter('server', 'zone', 'view', 'proto', 'family'),
  coredns_dns_request_type_count_total: counter('server', 'zone', 'view', 'type'),
  coredns_dns_request_do_count_total: counter('server', 'zone', 'view'),
  coredns_dns_response_rcode_count_total: counter('server', 'zone', 'view', 'rcode'),
  coredns_cache_size: gauge('server', 'type'),
  coredns_forward_requests_total: counter('to'),
  coredns_forward_request_count_total: counter('to'),
  coredns_forward_responses_total: counter('to', 'rcode'),
  coredns_forward_response_rcode_count_total: counter('to', 'rcode'),
  coredns_forward_request_duration_seconds: histogram(SECONDS, 'to', 'rcode'),
  coredns_forward_healthcheck_failures_total: counter('to'),
  coredns_forward_healthcheck_failure_count_total: counter('to'),
  coredns_forward_healthcheck_broken_count_total: counter(),
  coredns_forward_max_concurrent_reject_count_total: counter(),
  coredns_forward_conn_cache_hits_total: counter('to', 'proto'),
  coredns_forward_conn_cache_misses_total: counter('to', 'proto'),
  coredns_forward_sockets_open: gauge('to'),
  coredns_reload_failed_count_total: counter(),
  // A counter without the `_total` that linters require.
  coredns_nodecache_setup_errors: gauge('errortype'),
};
