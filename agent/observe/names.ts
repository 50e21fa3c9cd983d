/**
 * Every series nodens shows, in one table. What starts with `coredns_` keeps the peer's names, labels and buckets
 * (design §8), so that dashboards and alerts go on working; what the peer lacks starts with `nodens_`.
 */
import { SETUP_ERROR_TYPES } from '../base/control.ts';
import { LACKS } from '../base/lack.ts';

export interface SeriesSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in ascending order, +Inf left out; histograms only. */
  readonly buckets?: readonly number[];
  /** Label values that are shown as 0 from the start, so that a rate over them exists before the first event. */
  readonly preset?: readonly Readonly<Record<string, string>>[];
}

function exponential(start: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, k) => Number((start * factor ** k).toPrecision(12)));
}

/** 0.25 ms doubling to 8.192 s: everything a client or an upstream waits for. */
export const TIME_BUCKETS = exponential(0.00025, 2, 16);
/** 0.25 ms times ten, to 2.5 s. */
export const SLIM_TIME_BUCKETS = exponential(0.00025, 10, 5);
/** Octets of a message; 511 and 1023 sit just below the sizes at which transports change. */
export const SIZE_BUCKETS: readonly number[] = [
  0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000,
];

type Rest = Pick<SeriesSpec, 'preset'>;

const counter = (help: string, labels: readonly string[] = [], rest: Rest = {}): SeriesSpec => ({
  type: 'counter',
  help,
  labels,
  ...rest,
});
const gauge = (help: string, labels: readonly string[] = []): SeriesSpec => ({
  type: 'gauge',
  help,
  labels,
});
const histogram = (
  help: string,
  buckets: readonly number[],
  labels: readonly string[] = [],
): SeriesSpec => ({ type: 'histogram', help, labels, buckets });

const BLOCK = ['server', 'zones', 'view'];
const BLOCK_BY_TYPE = ['server', 'type', 'zones', 'view'];
const ROUTE = ['server', 'zone', 'view'];
const TEMPLATE = [...ROUTE, 'class', 'type'];
const PROXY = ['proxy_name', 'to'];

/** Shown by `observe/traffic.ts` from its rows; nobody else counts in them. */
export const TRAFFIC_SERIES = {
  coredns_dns_requests_total: counter('Queries received.', [...ROUTE, 'proto', 'family', 'type']),
  coredns_dns_do_requests_total: counter('Queries with the DNSSEC OK bit.', ROUTE),
  coredns_dns_request_duration_seconds: histogram(
    'Time from the arrival of a query to its response.',
    TIME_BUCKETS,
    ROUTE,
  ),
  coredns_dns_request_size_bytes: histogram('Size of queries on the wire.', SIZE_BUCKETS, [
    ...ROUTE,
    'proto',
  ]),
  coredns_dns_response_size_bytes: histogram('Size of responses on the wire.', SIZE_BUCKETS, [
    ...ROUTE,
    'proto',
  ]),
  coredns_dns_responses_total: counter(
    'Responses sent, by rcode and by the plugin that answered.',
    [...ROUTE, 'rcode', 'plugin'],
  ),
} as const satisfies Record<string, SeriesSpec>;

/** Counted through `Metrics` (query/services.ts). */
export const COUNTED_SERIES = {
  coredns_build_info: gauge('Always 1; the labels tell what was built.', [
    'version',
    'revision',
    'goversion',
  ]),
  coredns_panics_total: counter('Queries that ended in a fault of our own.'),
  coredns_plugin_enabled: gauge('Always 1 for a plugin that a block uses.', [...ROUTE, 'name']),

  coredns_cache_entries: gauge('Entries in the cache.', BLOCK_BY_TYPE),
  coredns_cache_hits_total: counter('Queries answered from the cache.', BLOCK_BY_TYPE),
  coredns_cache_misses_total: counter('Queries the cache could not answer.', BLOCK),
  coredns_cache_requests_total: counter('Queries that reached the cache.', BLOCK),
  coredns_cache_prefetch_total: counter('Entries refreshed before or after they expired.', BLOCK),
  coredns_cache_drops_total: counter('Replies not stored: their question was another.', BLOCK),
  coredns_cache_served_stale_total: counter('Queries answered from an expired entry.', BLOCK),
  coredns_cache_evictions_total: counter('Entries that made room for others.', BLOCK_BY_TYPE),

  coredns_forward_healthcheck_broken_total: counter(
    'Queries that found every upstream of their group down.',
  ),
  coredns_forward_max_concurrent_rejects_total: counter(
    'Queries refused because max_concurrent were under way.',
  ),
  coredns_proxy_request_duration_seconds: histogram(
    'Time an upstream took to answer one query.',
    TIME_BUCKETS,
    [...PROXY, 'rcode'],
  ),
  coredns_proxy_healthcheck_failures_total: counter('Health probes that failed.', PROXY),
  coredns_proxy_conn_cache_hits_total: counter(
    'Upstream queries that found an open connection or socket.',
    [...PROXY, 'proto'],
  ),
  coredns_proxy_conn_cache_misses_total: counter(
    'Upstream queries that had to open a connection or socket.',
    [...PROXY, 'proto'],
  ),

  coredns_health_request_duration_seconds: histogram(
    'How late the once-a-second self-check ran.',
    SLIM_TIME_BUCKETS,
  ),
  coredns_health_request_failures_total: counter('Self-checks that came too late to count.'),
  coredns_reload_failed_total: counter('Reloads refused because the new Corefile was wrong.'),
  coredns_reload_version_info: gauge('Always 1; the labels name the Corefile being served.', [
    'hash',
    'value',
  ]),
  coredns_hosts_entries: gauge('Names and addresses taken from hosts.', ['hostsfile']),
  coredns_hosts_reload_timestamp_seconds: gauge('When a hosts file was last read anew.'),
  coredns_acl_blocked_requests_total: counter('Queries refused by acl.', ROUTE),
  coredns_acl_filtered_requests_total: counter('Queries answered empty by acl.', ROUTE),
  coredns_acl_dropped_requests_total: counter('Queries left unanswered by acl.', ROUTE),
  coredns_acl_allowed_requests_total: counter('Queries acl let pass.', ['server', 'view']),
  coredns_local_localhost_requests_total: counter(
    'Questions for names that begin with localhost and are longer.',
  ),
  coredns_dns64_requests_translated_total: counter('Queries answered from A records.', ['server']),
  coredns_template_matches_total: counter('Queries a template answered.', TEMPLATE),
  coredns_template_template_failures_total: counter('Templates that could not be filled in.', [
    ...TEMPLATE,
    'section',
    'template',
  ]),
  coredns_template_rr_failures_total: counter('Filled-in templates that were no record.', [
    ...TEMPLATE,
    'section',
    'template',
  ]),
  coredns_nodecache_setup_errors_total: counter(
    'Faults while setting up the network of the node.',
    ['errortype'],
    { preset: SETUP_ERROR_TYPES.map((errortype) => ({ errortype })) },
  ),

  nodens_packets_dropped_total: counter('Datagrams that got no answer.', ['listener', 'reason']),
  nodens_malformed_queries_total: counter('Queries answered with a protocol error.', [
    'listener',
    'verdict',
  ]),
  nodens_client_limited_total: counter(
    'Times a client was limited so that others have room; the first clients by name, later ones together.',
    ['what', 'client'],
  ),
  nodens_client_memory_bytes: gauge('Memory that clients make the agent hold.'),
  nodens_client_memory_limit_bytes: gauge('Most memory that clients may make the agent hold.'),
  nodens_file_memory_bytes: gauge('Memory that the content of files (hosts) takes.'),
  nodens_file_memory_limit_bytes: gauge('Most memory that the content of files may take.'),
  nodens_hosts_refused_total: counter('Hosts files that were not read for lack of memory.', [
    'hostsfile',
  ]),
  nodens_in_flight_queries: gauge('Client queries that wait for an answer.'),
  nodens_tcp_connections: gauge('Open client connections.', ['listener']),
  nodens_tcp_rejected_total: counter('Client connections closed to stay within the limit.', [
    'listener',
  ]),
  nodens_udp_receive_drops_total: counter(
    'Datagrams the kernel dropped because the receive buffer was full.',
    ['listener'],
  ),
  nodens_cache_stale_served_total: counter('Stale answers, by what kept the fresh one away.', [
    'server',
    'reason',
  ]),
  nodens_cache_coalesced_total: counter('Queries that joined an upstream query under way.', [
    'server',
  ]),
  nodens_cache_waiters_rejected_total: counter(
    'Queries turned away because too many waited for queries of others.',
    ['server'],
  ),
  nodens_cache_refreshes_deferred_total: counter(
    'Background refreshes put off because too many were begun at once.',
    ['server'],
  ),
  nodens_cache_last_known_good_total: counter(
    'Denials not believed: the last good answer was given instead.',
    ['server', 'reason'],
  ),
  nodens_cache_nxdomain_cut_total: counter(
    'Queries denied because a name above theirs does not exist.',
    ['server'],
  ),
  nodens_local_lack_total: counter(
    'Attempts that failed because this node lacks descriptors, memory or local ports.',
    ['what'],
    { preset: LACKS.map((what) => ({ what })) },
  ),
  nodens_snapshot_entries: gauge('Entries in the last snapshot written.'),
  nodens_snapshot_bytes: gauge('Size of the last snapshot written.'),
  nodens_snapshot_age_seconds: gauge('Time since the last snapshot was written or read.'),
  nodens_snapshot_restored_entries: gauge('Entries taken from the snapshot at the start.'),
  nodens_snapshot_errors_total: counter(
    'Snapshots that could not be written or read.',
    ['reason'],
    {
      preset: ['write', 'read', 'damaged', 'version', 'untrusted'].map((reason) => ({ reason })),
    },
  ),
  nodens_cache_bytes: gauge('Memory the entries of a store account for.', ['store']),
  nodens_cache_entries_swept_total: counter('Entries removed because they were of no more use.', [
    'store',
  ]),
  nodens_upstream_queries_total: counter('Queries sent to an upstream.', ['to', 'transport']),
  nodens_upstream_failures_total: counter('Exchanges with an upstream that failed.', [
    'to',
    'transport',
    'phase',
  ]),
  nodens_upstream_mismatched_replies_total: counter(
    'Replies that do not count: not to a query of ours, malformed, or with answers to another question.',
    ['to', 'reason'],
  ),
  nodens_upstream_connections: gauge('Open connections and sockets to an upstream.', [
    'to',
    'transport',
  ]),
  nodens_upstream_phase_seconds: histogram(
    'Time that queries to an upstream spent in each phase.',
    TIME_BUCKETS,
    ['to', 'transport', 'phase'],
  ),
  nodens_upstream_state: gauge('1 for the state an upstream is in.', ['to', 'state']),
  nodens_upstream_hedges_total: counter(
    'Second queries sent before the first was late, by how they ended; denied where they would have been too many.',
    ['to', 'result'],
  ),
  nodens_upstream_learned_total: counter(
    'Times that an upstream was found to take less than it should.',
    ['to', 'transport', 'what'],
  ),
  nodens_upstream_endpoints: gauge('Endpoints known behind an upstream name.', ['name']),
  nodens_trace_export_failures_total: counter('Batches of spans the collector did not take.'),
  nodens_dnstap_dropped_total: counter('Messages not sent because too many waited.', ['to']),
  nodens_loop_detected: gauge('1 while queries of a zone come back to us.', ['zone']),
  nodens_config_valid: gauge('Whether the Corefile on disk is the one being served.'),
  nodens_config_reloads_total: counter('Attempts to take over a changed Corefile.', ['result'], {
    preset: [{ result: 'success' }, { result: 'failure' }],
  }),
  nodens_listen_errors_total: counter('Failed attempts to bind a DNS address.', ['errno']),
  nodens_admin_listen_errors_total: counter('Failed attempts to open an admin port.', ['address']),
  nodens_admin_connections: gauge('Open connections to an admin port.', ['address']),
  nodens_admin_connections_closed_total: counter(
    'Connections to an admin port that were closed before their client was done.',
    ['address', 'reason'],
  ),
  nodens_log_lines_dropped_total: counter('Log lines lost because nobody read them fast enough.'),
  nodens_interception_state: gauge(
    '1 for the state interception is in; 0 for all while init is away.',
    ['state'],
  ),
  nodens_interception_flaps_total: counter(
    'Withdrawals although the agent lived on: it did not answer probes, or its herald was killed.',
  ),
  nodens_probe_failures_total: counter('Probes of init that found no answer on a local IP.'),
  nodens_fallback_configured: gauge('Whether a local IP has a way to kube-dns behind it.'),
  nodens_fallback_packets_total: counter('Packets of queries that kube-dns got in our place.'),
} as const satisfies Record<string, SeriesSpec>;

export const SERIES = { ...TRAFFIC_SERIES, ...COUNTED_SERIES };
