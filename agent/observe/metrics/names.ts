/**
 * Every series that nodens exports, in one table; docs/reference/metrics.md is generated from it. Series that start
 * with `coredns_` have the names, labels and buckets of CoreDNS and node-local-dns, so that dashboards and alerts keep
 * working; series that only nodens has start with `nodens_`.
 */
import { SETUP_ERROR_TYPES } from '../../base/control.ts';
import { LACKS } from '../../base/lack.ts';
import {
  ANSWER_BUCKETS,
  PHASE_BUCKETS,
  SIZE_BUCKETS,
  SLIM_TIME_BUCKETS,
  TIME_BUCKETS,
} from './buckets.ts';
import { CACHE_SERIES } from './cache-names.ts';
import { KUBERNETES_SERIES } from './kubernetes-names.ts';
import { counter, gauge, histogram, type SeriesSpec } from './series-spec.ts';

/** The type of the table's entries. */
export type { SeriesSpec };

const ROUTE = ['server', 'zone', 'view'];
const TEMPLATE = [...ROUTE, 'class', 'type'];
const PROXY = ['proxy_name', 'to'];

/** Counted only by `observe/metrics/request-metrics.ts`. */
export const TRAFFIC_SERIES = {
  coredns_dns_requests_total: counter('Queries received.', [...ROUTE, 'proto', 'family', 'type']),
  coredns_dns_do_requests_total: counter('Queries with the DNSSEC OK bit.', ROUTE),
  coredns_dns_request_duration_seconds: histogram(
    'Time from the arrival of a query to its response, in seconds.',
    TIME_BUCKETS,
    ROUTE,
  ),
  coredns_dns_request_size_bytes: histogram('Size of queries, in bytes.', SIZE_BUCKETS, [
    ...ROUTE,
    'proto',
  ]),
  coredns_dns_response_size_bytes: histogram('Size of responses, in bytes.', SIZE_BUCKETS, [
    ...ROUTE,
    'proto',
  ]),
  coredns_dns_responses_total: counter(
    'Responses sent, by rcode and by the plugin that made the answer.',
    [...ROUTE, 'rcode', 'plugin'],
  ),
} as const satisfies Record<string, SeriesSpec>;

/** Counted through `Metrics` (query/services/metrics.ts). */
export const COUNTED_SERIES = {
  coredns_build_info: gauge('Always 1; the labels name the version.', [
    'version',
    'revision',
    'goversion',
  ]),
  coredns_panics_total: counter('Queries that failed by a fault of nodens itself.'),
  coredns_plugin_enabled: gauge('Always 1 for a plugin that a server block uses.', [
    ...ROUTE,
    'name',
  ]),

  ...CACHE_SERIES,

  coredns_forward_healthcheck_broken_total: counter('Queries for which all upstreams were down.'),
  coredns_forward_max_concurrent_rejects_total: counter(
    'Queries refused because max_concurrent queries were in flight.',
  ),
  coredns_proxy_request_duration_seconds: histogram(
    'Time that an upstream took to answer a query, in seconds.',
    TIME_BUCKETS,
    [...PROXY, 'rcode'],
  ),
  coredns_proxy_healthcheck_failures_total: counter(
    'Health probes of an upstream that failed.',
    PROXY,
  ),
  coredns_proxy_conn_cache_hits_total: counter(
    'Upstream queries that used an open connection or socket.',
    [...PROXY, 'proto'],
  ),
  coredns_proxy_conn_cache_misses_total: counter(
    'Upstream queries that had to open a connection or socket.',
    [...PROXY, 'proto'],
  ),

  coredns_health_request_duration_seconds: histogram(
    'Delay of the self-check that runs once a second, in seconds.',
    SLIM_TIME_BUCKETS,
  ),
  coredns_health_request_failures_total: counter('Self-checks that were too late.'),
  coredns_reload_failed_total: counter('Reloads refused because the new Corefile is wrong.'),
  coredns_reload_version_info: gauge('Always 1; the labels name the Corefile in force.', [
    'hash',
    'value',
  ]),
  coredns_hosts_entries: gauge('Names and addresses read from a hosts file.', ['hostsfile']),
  coredns_hosts_reload_timestamp_seconds: gauge('When a hosts file was last read, as Unix time.'),
  coredns_acl_blocked_requests_total: counter('Queries refused by acl.', ROUTE),
  coredns_acl_filtered_requests_total: counter(
    'Queries answered by acl with an empty answer.',
    ROUTE,
  ),
  coredns_acl_dropped_requests_total: counter('Queries that acl left without an answer.', ROUTE),
  coredns_acl_allowed_requests_total: counter('Queries that acl let pass.', ['server', 'view']),
  coredns_local_localhost_requests_total: counter(
    'Queries for names that start with `localhost.` and have more labels.',
  ),
  coredns_dns64_requests_translated_total: counter(
    'Queries for AAAA that dns64 answered from A records.',
    ['server'],
  ),
  coredns_template_matches_total: counter('Queries that a template answered.', TEMPLATE),
  coredns_template_template_failures_total: counter('Templates that could not be filled in.', [
    ...TEMPLATE,
    'section',
    'template',
  ]),
  coredns_template_rr_failures_total: counter('Templates whose result was no valid record.', [
    ...TEMPLATE,
    'section',
    'template',
  ]),
  coredns_nodecache_setup_errors_total: counter(
    'Errors of init while it set up addresses and rules.',
    ['errortype'],
    { preset: SETUP_ERROR_TYPES.map((errortype) => ({ errortype })) },
  ),

  nodens_packets_dropped_total: counter('Messages that got no answer, by reason.', [
    'listener',
    'reason',
  ]),
  nodens_malformed_queries_total: counter(
    'Queries answered with a protocol error: formerr, notimp or badvers.',
    ['listener', 'verdict'],
  ),
  nodens_client_limited_total: counter(
    'Times that a client was limited; the first 32 clients by address, later ones as `other`.',
    ['what', 'client'],
  ),
  nodens_client_memory_bytes: gauge(
    'Memory that the agent holds for clients (waiting queries, connections, unread answers), in bytes.',
  ),
  nodens_client_memory_limit_bytes: gauge(
    'Limit of nodens_client_memory_bytes, derived from the memory limit.',
  ),
  nodens_file_memory_bytes: gauge('Memory that the content of hosts files takes, in bytes.'),
  nodens_file_memory_limit_bytes: gauge(
    'Limit of nodens_file_memory_bytes, derived from the memory limit.',
  ),
  nodens_hosts_refused_total: counter(
    'Attempts to read a hosts file that did not fit into the memory for files.',
    ['hostsfile'],
  ),
  nodens_in_flight_queries: gauge('Queries of clients that wait for an answer.'),
  nodens_answer_duration_seconds: histogram(
    'Time from the arrival of a query to its response by the source of the answer, in seconds.',
    ANSWER_BUCKETS,
    ['served'],
  ),
  nodens_tcp_connections: gauge('Open TCP connections of clients.', ['listener']),
  nodens_tcp_rejected_total: counter(
    'TCP connections of clients that were refused or closed because of a limit.',
    ['listener'],
    { startsAtZero: true },
  ),
  nodens_udp_receive_drops_total: counter(
    'Datagrams that the kernel dropped because the receive buffer was full.',
    ['listener'],
    { startsAtZero: true },
  ),
  nodens_local_lack_total: counter(
    'Operations that failed because this node lacks file descriptors, memory, local ports or the address to send from.',
    ['what'],
    { preset: LACKS.map((what) => ({ what })) },
  ),
  nodens_upstream_queries_total: counter('Queries sent to an upstream.', ['to', 'transport']),
  nodens_upstream_failures_total: counter('Exchanges with an upstream that failed.', [
    'to',
    'transport',
    'phase',
  ]),
  nodens_upstream_mismatched_replies_total: counter(
    'Replies discarded: to no query in flight, malformed, or with answers to another question.',
    ['to', 'reason'],
  ),
  nodens_upstream_connections: gauge('Open connections and sockets to an upstream.', [
    'to',
    'transport',
  ]),
  nodens_upstream_phase_seconds: histogram(
    'Time that queries to an upstream spent in each phase, in seconds.',
    PHASE_BUCKETS,
    ['to', 'transport', 'phase'],
  ),
  nodens_upstream_state: gauge('1 for the state that an upstream is in, 0 for the others.', [
    'to',
    'state',
  ]),
  nodens_upstream_hedges_total: counter(
    'Hedged (second) queries by result; `denied`: not sent, because too many were.',
    ['to', 'result'],
  ),
  nodens_upstream_learned_total: counter(
    'Times that nodens learned that an upstream lacks a capability (`what`).',
    ['to', 'transport', 'what'],
  ),
  nodens_upstream_endpoints: gauge('Endpoints known for the name of an upstream.', ['name']),
  nodens_trace_export_failures_total: counter(
    'Batches of spans that the collector did not accept.',
  ),
  nodens_dnstap_dropped_total: counter('dnstap messages dropped because too many waited.', ['to']),
  nodens_loop_detected: gauge('1 while queries of a zone come back to nodens.', ['zone']),
  nodens_config_valid: gauge('1 if the Corefile on disk is in force, 0 if it is wrong.'),
  nodens_config_reloads_total: counter('Attempts to load a changed Corefile.', ['result'], {
    preset: [{ result: 'success' }, { result: 'failure' }],
  }),
  nodens_listen_errors_total: counter('Failed attempts to bind a DNS address.', ['errno']),
  nodens_admin_listen_errors_total: counter('Failed attempts to open an admin port.', ['address']),
  nodens_admin_connections: gauge('Open connections to an admin port.', ['address']),
  nodens_admin_connections_closed_total: counter(
    'Connections to an admin port that nodens closed before the client was done.',
    ['address', 'reason'],
  ),
  nodens_log_lines_dropped_total: counter(
    'Log lines dropped because the reader of standard output was too slow.',
  ),
  nodens_interception_state: gauge(
    '1 for the state of interception, 0 for the others; all 0 while init is not connected. Only with an init.',
    ['state'],
  ),
  nodens_interception_flaps_total: counter(
    'Times that init withdrew interception from a living agent that did not answer probes.',
  ),
  nodens_probe_failures_total: counter('Probes of init that got no answer on a local IP.'),
  nodens_fallback_configured: gauge(
    '1 if queries to a local IP fall back to kube-dns when the agent does not answer.',
  ),
  nodens_fallback_packets_total: counter('Query packets that the fallback sent to kube-dns.'),
  ...KUBERNETES_SERIES,
} as const satisfies Record<string, SeriesSpec>;

/** Both tables by name. */
export const SERIES = { ...TRAFFIC_SERIES, ...COUNTED_SERIES };
