/**
 * Queries of the well-known dashboards and alert rules for CoreDNS and NodeLocal DNSCache: by panel, in PromQL.
 * `$sel` stands for the labels that choose the instances, `$window` for Grafana's rate interval.
 */
export interface Panel {
  readonly title: string;
  readonly expr: string;
}

export interface Alert {
  readonly name: string;
  /** The compared expression; must have a value while nodens runs. */
  readonly value: string;
  /** The comparison after it. */
  readonly fires: string;
  /** Whether it is true of a nodens one of whose upstreams is down. */
  readonly isOn?: true;
}

const rate = (series: string, by: string, more = ''): string =>
  `sum(rate(${series}{$sel${more}}[$window]))${by === '' ? '' : ` by (${by})`}`;

const quantile = (q: number, series: string, by: string, more = ''): string =>
  `histogram_quantile(${q}, ${rate(`${series}_bucket`, by, more)})`;

/** The old name first, else the new one, as dashboards for all versions do. */
const either = (old: string, now: string, by: string): string =>
  `${rate(old, by)} or ${rate(now, by)}`;

const SIZES = ['udp', 'tcp'].flatMap((proto) =>
  [0.99, 0.9, 0.5].flatMap((q) =>
    ['request', 'response'].map(
      (what): Panel => ({
        title: `${what} size, ${proto}, quantile ${q}`,
        expr: quantile(q, `coredns_dns_${what}_size_bytes`, 'le, proto', `, proto="${proto}"`),
      }),
    ),
  ),
);

/** Grafana 14981 and its ancestors, for CoreDNS of every version. */
const COREDNS_ALL_VERSIONS: readonly Panel[] = [
  {
    title: 'requests, total',
    expr: either('coredns_dns_request_count_total', 'coredns_dns_requests_total', 'proto'),
  },
  {
    title: 'requests by type',
    expr: either('coredns_dns_request_type_count_total', 'coredns_dns_requests_total', 'type'),
  },
  {
    title: 'requests by zone',
    expr: either('coredns_dns_request_count_total', 'coredns_dns_requests_total', 'zone'),
  },
  {
    title: 'requests with DO',
    expr: either('coredns_dns_request_do_count_total', 'coredns_dns_do_requests_total', ''),
  },
  {
    title: 'responses by rcode',
    expr: either('coredns_dns_response_rcode_count_total', 'coredns_dns_responses_total', 'rcode'),
  },
  ...[0.99, 0.9, 0.5].map((q) => ({
    title: `request duration, quantile ${q}`,
    expr: quantile(q, 'coredns_dns_request_duration_seconds', 'le, job'),
  })),
  ...SIZES,
  {
    title: 'cache size',
    expr: 'sum(coredns_cache_size{$sel}) by (type) or sum(coredns_cache_entries{$sel}) by (type)',
  },
  { title: 'cache hits', expr: rate('coredns_cache_hits_total', 'type') },
  { title: 'cache misses', expr: rate('coredns_cache_misses_total', 'type') },
];

/** Grafana 5926: CoreDNS before 1.7, old names only. */
const COREDNS_BEFORE_1_7: readonly Panel[] = [
  { title: 'requests', expr: rate('coredns_dns_request_count_total', 'proto') },
  { title: 'requests by type', expr: rate('coredns_dns_request_type_count_total', 'type') },
  { title: 'requests by zone', expr: rate('coredns_dns_request_count_total', 'zone') },
  { title: 'requests with DO', expr: rate('coredns_dns_request_do_count_total', '') },
  { title: 'responses by rcode', expr: rate('coredns_dns_response_rcode_count_total', 'rcode') },
  { title: 'cache size', expr: 'sum(coredns_cache_size{$sel}) by (type)' },
  { title: 'panics', expr: 'sum(coredns_panic_count_total{$sel})' },
];

/** Grafana 15762, Kubernetes / System / CoreDNS. */
const KUBERNETES_SYSTEM: readonly Panel[] = [
  { title: 'health status', expr: 'up{$sel}' },
  { title: 'CPU', expr: 'rate(process_cpu_seconds_total{$sel}[$window])' },
  { title: 'memory', expr: 'process_resident_memory_bytes{$sel}' },
  { title: 'requests', expr: rate('coredns_dns_requests_total', '', ', proto="udp"') },
  {
    title: 'packet size',
    expr: 'avg(rate(coredns_dns_request_size_bytes_sum{$sel, proto="udp"}[$window])) by (proto)',
  },
  { title: 'requests by type', expr: rate('coredns_dns_requests_total', 'type') },
  { title: 'requests by rcode', expr: rate('coredns_dns_responses_total', 'rcode') },
  { title: 'forward requests', expr: 'sum(rate(coredns_forward_requests_total[$window]))' },
  { title: 'forward responses', expr: rate('coredns_forward_responses_total', 'rcode') },
  { title: 'cache entries', expr: 'sum(coredns_cache_entries) by (type)' },
];

/** The CoreDNS mixin (kube-prometheus and others bundle it), and the NodeLocal DNS one made from it. */
const MIXINS: readonly Panel[] = [
  { title: 'up', expr: 'sum(up{$sel})' },
  { title: 'panics', expr: 'sum(coredns_panics_total{$sel})' },
  {
    title: 'forward responses, before 1.7',
    expr: rate('coredns_forward_response_rcode_count_total', 'rcode'),
  },
  {
    title: 'request duration',
    expr: quantile(0.99, 'coredns_dns_request_duration_seconds', 'server, zone, le'),
  },
  {
    title: 'forward duration',
    expr: quantile(0.99, 'coredns_forward_request_duration_seconds', 'to, le'),
  },
  {
    title: 'forward duration, since 1.11',
    expr: quantile(0.99, 'coredns_proxy_request_duration_seconds', 'to, le'),
  },
  { title: 'requests by zone', expr: rate('coredns_dns_requests_total', 'zone') },
  { title: 'forward requests', expr: rate('coredns_forward_requests_total', 'to') },
  {
    title: 'forward requests, before 1.7',
    expr: rate('coredns_forward_request_count_total', 'to'),
  },
  { title: 'plugins enabled', expr: 'count(sum(coredns_plugin_enabled{$sel}) by (name))' },
  {
    title: 'request size',
    expr: quantile(0.99, 'coredns_dns_request_size_bytes', 'server, zone, proto, le'),
  },
  {
    title: 'cached',
    expr: `sum(coredns_cache_hits_total{$sel}) /
      (sum(coredns_cache_misses_total{$sel}) + sum(coredns_cache_hits_total{$sel}))`,
  },
  { title: 'setup errors', expr: rate('coredns_nodecache_setup_errors', 'errortype') },
  { title: 'setup errors', expr: rate('coredns_nodecache_setup_errors_total', 'errortype') },
  { title: 'instances', expr: 'count(coredns_build_info{$sel}) by (version)' },
  { title: 'open sockets', expr: 'sum(coredns_forward_sockets_open{$sel}) by (to)' },
  {
    title: 'connections reused',
    expr: `${rate('coredns_forward_conn_cache_hits_total', 'to')} /
      (${rate('coredns_forward_conn_cache_hits_total', 'to')} +
      ${rate('coredns_forward_conn_cache_misses_total', 'to')})`,
  },
];

export const DASHBOARDS: Readonly<Record<string, readonly Panel[]>> = {
  'CoreDNS, all versions (14981)': COREDNS_ALL_VERSIONS,
  'CoreDNS before 1.7 (5926)': COREDNS_BEFORE_1_7,
  'Kubernetes / System / CoreDNS (15762)': KUBERNETES_SYSTEM,
  'CoreDNS and NodeLocal DNS mixins': MIXINS,
};

/** Panels that need Go or a plugin that a node cache does not have. */
export const STAYS_EMPTY: readonly Panel[] = [
  { title: 'goroutines', expr: 'go_goroutines{$sel}' },
  {
    title: 'programming duration',
    expr: quantile(0.99, 'coredns_kubernetes_dns_programming_duration_seconds', 'le'),
  },
];

const share = (series: string): string =>
  `${rate(series, '', ', rcode="SERVFAIL"')} / ${rate(series, '')}`;

export const ALERTS: readonly Alert[] = [
  { name: 'CoreDNSDown', value: 'sum(up{$sel})', fires: '< 1' },
  {
    name: 'CoreDNSLatencyHigh',
    value: quantile(0.99, 'coredns_dns_request_duration_seconds', 'server, zone, le'),
    fires: '> 4',
  },
  {
    name: 'CoreDNSErrorsHigh',
    value: share('coredns_dns_responses_total'),
    fires: '> 0.03',
    isOn: true,
  },
  {
    name: 'CoreDNSErrorsHigh, before 1.7',
    value: share('coredns_dns_response_rcode_count_total'),
    fires: '> 0.03',
    isOn: true,
  },
  {
    name: 'CoreDNSForwardLatencyHigh',
    value: quantile(0.99, 'coredns_forward_request_duration_seconds', 'to, le'),
    fires: '> 4',
  },
  {
    name: 'CoreDNSForwardErrorsHigh',
    value: share('coredns_forward_responses_total'),
    fires: '> 0.03',
    isOn: true,
  },
  {
    name: 'CoreDNSForwardHealthcheckFailureCount',
    value: rate('coredns_forward_healthcheck_failures_total', 'to'),
    fires: '> 0',
    isOn: true,
  },
  {
    name: 'CoreDNSForwardHealthcheckBrokenCount',
    value: rate('coredns_forward_healthcheck_broken_total', ''),
    fires: '> 0',
    isOn: true,
  },
  {
    name: 'CoreDNSForwardHealthcheckBrokenCount, before 1.7',
    value: rate('coredns_forward_healthcheck_broken_count_total', ''),
    fires: '> 0',
    isOn: true,
  },
  { name: 'CorednsPanicCount', value: 'increase(coredns_panics_total[1m])', fires: '> 0' },
  {
    name: 'CorednsPanicCount, before 1.7',
    value: 'increase(coredns_panic_count_total[10m])',
    fires: '> 0',
  },
  {
    name: 'NodeLocalDNSSetupErrorsHigh',
    value: 'rate(coredns_nodecache_setup_errors{$sel}[5m])',
    fires: '> 0',
  },
  {
    name: 'NodeLocalDNSSetupErrorsHighNew',
    value: 'rate(coredns_nodecache_setup_errors_total{$sel}[5m])',
    fires: '> 0',
  },
  {
    name: 'reload failed',
    value: 'increase(coredns_reload_failed_total{$sel}[5m])',
    fires: '> 0',
  },
];

/** `expr` for Prometheus. */
export function forPrometheus(expr: string, selector: string): string {
  return expr.replaceAll('$sel', selector).replaceAll('$window', '30s');
}
