/** For every alert: series with which it fires, and series with which it does not. */

/** Input series in promtool's notation (`a+bxn`: n more samples, each b larger), one sample a minute. */
export type Series = Readonly<Record<string, string>>;

export interface RuleCase {
  readonly alert: string;
  readonly severity: 'critical' | 'warning' | 'info';
  /** When the alerts are read; samples last as long. */
  readonly at: string;
  readonly fires: Series;
  /** Series of the same names, below the threshold or of another server. */
  readonly quiet: Series;
}

const NODE = 'instance="a:9253"';
/** kube-dns is CoreDNS, with series of the same names. */
const KUBE_DNS = 'instance="k:9153"';
const OURS: Series = { [`nodens_config_valid{${NODE}}`]: '1x200' };
const responses = (labels: string, at = NODE): string =>
  `coredns_dns_responses_total{${at}, ${labels}}`;
const GOOD = responses('zone="cluster.local.", rcode="NOERROR", plugin="cache"');
const FAILED = responses('zone="cluster.local.", rcode="SERVFAIL", plugin=""');

/** `perMinute` of answers that fail, of 60,000 queries a minute, for three hours. */
const answers = (perMinute: number): Series => ({
  ...OURS,
  [GOOD]: `0+${60_000 - perMinute}x200`,
  [FAILED]: `0+${perMinute}x200`,
});

/** `late` of 10,000 answers a minute took longer than 128 ms. */
const durations = (late: number): Series => {
  const name = 'coredns_dns_request_duration_seconds';
  return {
    ...OURS,
    [`${name}_count{${NODE}}`]: '0+10000x200',
    [`${name}_bucket{${NODE}, le="0.064"}`]: `0+${10_000 - late}x200`,
    [`${name}_bucket{${NODE}, le="0.128"}`]: `0+${10_000 - late}x200`,
  };
};

/** `series` on this node: with its labels, if it has any. */
const onNode = (series: string): string =>
  series.includes('{') ? series.replace('{', `{${NODE}, `) : `${series}{${NODE}}`;

/** A counter that fires when it grows. */
function counter(
  alert: string,
  severity: RuleCase['severity'],
  series: string,
  more: Series = {},
): RuleCase {
  const name = onNode(series);
  const [fires, quiet] = [
    { ...more, [name]: '0+5x60' },
    { ...more, [name]: '7x60' },
  ];
  return { alert, severity, at: '60m', fires, quiet };
}

/** A counter whose series comes with its first event, after `events` of them, and then stands still. */
function appearing(
  alert: string,
  severity: RuleCase['severity'],
  series: string,
  events = 1,
): RuleCase {
  const name = onNode(series);
  const [fires, quiet] = [{ [name]: `_x50 ${events}x20` }, { [name]: `${events}x70` }];
  return { alert, severity, at: '60m', fires, quiet };
}

/** A gauge that fires at the first of two values. */
function gauge(
  alert: string,
  severity: RuleCase['severity'],
  series: string,
  [firing, idle]: readonly [number, number],
): RuleCase {
  const name = onNode(series);
  const [fires, quiet] = [{ [name]: `${firing}x60` }, { [name]: `${idle}x60` }];
  return { alert, severity, at: '60m', fires, quiet };
}

const RESTARTS =
  'kube_pod_container_status_restarts_total{namespace="dns", pod="nodens-x1", container="agent"}';
const OOM =
  'kube_pod_container_status_last_terminated_reason{namespace="dns", pod="nodens-x1", container="agent", reason="OOMKilled"}';
const nxdomain = (share: number, perMinute = 6_000): Series => ({
  ...OURS,
  [responses('zone=".", rcode="NXDOMAIN", plugin="cache"')]: `0+${share * perMinute}x180`,
  [GOOD]: `0+${(1 - share) * perMinute}x180`,
});
const upstreamTimes = (under100: number): Series => {
  const name = `coredns_proxy_request_duration_seconds_bucket{${NODE}, to="192.0.2.1:53"`;
  return {
    ...OURS,
    [`${name}, le="0.064"}`]: `0+${under100}x60`,
    [`${name}, le="0.512"}`]: '0+100x60',
    [`${name}, le="+Inf"}`]: '0+100x60',
  };
};
const version = (instance: string, text: string): Series => ({
  [`coredns_build_info{instance="${instance}", version="${text}"}`]: '1x120',
  [`nodens_config_valid{instance="${instance}"}`]: '1x120',
});

export const RULE_CASES: readonly RuleCase[] = [
  {
    ...{ alert: 'NodensAnswerBudget', severity: 'critical', at: '90m' },
    // 0.2 % of the queries: a factor of 20.
    fires: answers(120),
    // A factor of 5: less than the factor of 14.4 and that of 6.
    quiet: answers(30),
  },
  {
    ...{ alert: 'NodensAnswerBudget', severity: 'warning', at: '3h' },
    // A factor of 2.
    fires: answers(12),
    // Half the budget; and a SERVFAIL of kube-dns that nodens did not answer.
    quiet: {
      ...answers(3),
      [responses('zone="cluster.local.", rcode="SERVFAIL", plugin=""', KUBE_DNS)]: '0+60x200',
    },
  },
  {
    ...{ alert: 'NodensLatencyBudget', severity: 'critical', at: '90m' },
    fires: durations(2_000),
    quiet: durations(500),
  },
  {
    ...{ alert: 'NodensLatencyBudget', severity: 'warning', at: '3h' },
    fires: durations(200),
    quiet: durations(50),
  },
  gauge(
    'NodensNotIntercepting',
    'warning',
    'nodens_interception_state{state="intercepting"}',
    [0, 1],
  ),
  gauge(
    'NodensAgentNotReady',
    'warning',
    'kube_daemonset_status_number_unavailable{daemonset="nodens"}',
    [1, 0],
  ),
  {
    ...{ alert: 'NodensRestarts', severity: 'warning', at: '60m' },
    fires: { [RESTARTS]: '0x20 1x20 2x5 3x20' },
    quiet: { [RESTARTS]: '0x20 1x40', [OOM]: '0x60' },
  },
  {
    // One restart is enough after an OOM kill.
    ...{ alert: 'NodensRestarts', severity: 'warning', at: '60m' },
    fires: { [RESTARTS]: '0x20 1x40', [OOM]: '0x20 1x40' },
    quiet: { [RESTARTS]: '3x60', [OOM]: '1x60' },
  },
  counter('NodensFlapping', 'warning', 'nodens_interception_flaps_total'),
  counter('NodensReceiveDrops', 'warning', 'nodens_udp_receive_drops_total{listener="udp"}'),
  gauge('NodensFallbackMissing', 'warning', 'nodens_fallback_configured', [0, 1]),
  counter('NodensFallbackUsed', 'info', 'nodens_fallback_packets_total'),
  counter(
    'NodensSetupFailed',
    'warning',
    'coredns_nodecache_setup_errors_total{errortype="iptables"}',
    OURS,
  ),
  counter('NodensUpstreamDown', 'critical', 'coredns_forward_healthcheck_broken_total', OURS),
  {
    ...{ alert: 'NodensUpstreamDown', severity: 'critical', at: '60m' },
    fires: { ...OURS, [`coredns_forward_healthcheck_broken_total{${NODE}}`]: '0+1x60' },
    // kube-dns itself lost its upstreams: an alert of CoreDNS, not of nodens.
    quiet: { ...OURS, [`coredns_forward_healthcheck_broken_total{${KUBE_DNS}}`]: '0+1x60' },
  },
  gauge('NodensUpstreamDown', 'warning', 'nodens_upstream_state{to="u:53", state="down"}', [1, 0]),
  {
    ...{ alert: 'NodensUpstreamSlow', severity: 'warning', at: '60m' },
    fires: upstreamTimes(30),
    quiet: upstreamTimes(90),
  },
  {
    ...{ alert: 'NodensServingStale', severity: 'warning', at: '60m' },
    fires: { [`nodens_cache_stale_served_total{${NODE}, reason="timeout"}`]: '0+120x60' },
    quiet: { [`nodens_cache_stale_served_total{${NODE}, reason="timeout"}`]: '0+30x60' },
  },
  {
    ...{ alert: 'NodensNamesFail', severity: 'warning', at: '60m' },
    fires: { ...OURS, [GOOD]: '0+90x60', [FAILED]: '0+10x60' },
    quiet: { ...OURS, [GOOD]: '0+98x60', [FAILED]: '0+2x60' },
  },
  {
    ...{ alert: 'NodensNxdomainShare', severity: 'info', at: '120m' },
    fires: nxdomain(0.9),
    quiet: nxdomain(0.75),
  },
  {
    ...{ alert: 'NodensNxdomainShare', severity: 'info', at: '120m' },
    fires: nxdomain(0.9),
    // Too few queries to be worth a look.
    quiet: nxdomain(0.9, 60),
  },
  counter(
    'NodensUpstreamLimited',
    'info',
    'nodens_upstream_learned_total{to="u:53", transport="udp", what="edns"}',
  ),
  appearing('NodensUpstreamLimited', 'info', 'nodens_upstream_learned_total{to="u:53"}'),
  appearing(
    'NodensMismatchedReplies',
    'warning',
    'nodens_upstream_mismatched_replies_total{to="u:53"}',
    11,
  ),
  appearing('NodensClientLimited', 'warning', 'nodens_client_limited_total{what="queries"}'),
  appearing('NodensHostsFile', 'warning', 'nodens_hosts_refused_total{hostsfile="/etc/hosts"}'),
  counter('NodensMismatchedReplies', 'warning', 'nodens_upstream_mismatched_replies_total'),
  counter('NodensLastKnownGood', 'warning', 'nodens_cache_last_known_good_total'),
  counter('NodensNodeResources', 'warning', 'nodens_local_lack_total{what="ports"}'),
  counter('NodensPortTaken', 'warning', 'nodens_listen_errors_total{errno="EADDRINUSE"}'),
  counter('NodensAdminPort', 'info', 'nodens_admin_listen_errors_total'),
  counter('NodensAdminPort', 'info', 'nodens_admin_connections_closed_total'),
  counter('NodensSnapshot', 'info', 'nodens_snapshot_errors_total{reason="write"}'),
  counter('NodensClientLimited', 'warning', 'nodens_client_limited_total{what="queries"}'),
  counter('NodensClientLimited', 'warning', 'nodens_cache_waiters_rejected_total'),
  counter('NodensClientLimited', 'warning', 'nodens_tcp_rejected_total'),
  {
    ...{ alert: 'NodensClientLimited', severity: 'warning', at: '60m' },
    fires: {
      [`nodens_client_memory_bytes{${NODE}}`]: '95x60',
      [`nodens_client_memory_limit_bytes{${NODE}}`]: '100x60',
    },
    quiet: {
      [`nodens_client_memory_bytes{${NODE}}`]: '80x60',
      [`nodens_client_memory_limit_bytes{${NODE}}`]: '100x60',
    },
  },
  {
    ...{ alert: 'NodensCacheTooSmall', severity: 'info', at: '120m' },
    fires: { ...OURS, [`coredns_cache_evictions_total{${NODE}, type="success"}`]: '0+120x120' },
    quiet: { ...OURS, [`coredns_cache_evictions_total{${NODE}, type="success"}`]: '0+30x120' },
  },
  gauge('NodensCorefileRefused', 'warning', 'nodens_config_valid', [0, 1]),
  counter('NodensHostsFile', 'warning', 'nodens_hosts_refused_total{hostsfile="/etc/hosts"}'),
  gauge('NodensForwardingLoop', 'critical', 'nodens_loop_detected{zone="."}', [1, 0]),
  {
    ...{ alert: 'NodensVersionSkew', severity: 'warning', at: '90m' },
    fires: { ...version('a:9253', '0.2.0'), ...version('b:9253', '0.3.0') },
    // kube-dns has another version, of another program.
    quiet: {
      ...version('a:9253', '0.3.0'),
      ...version('b:9253', '0.3.0'),
      [`coredns_build_info{${KUBE_DNS}, version="1.12.0"}`]: '1x120',
    },
  },
  counter('NodensInternalFault', 'warning', 'coredns_panics_total', OURS),
  counter('NodensTelemetryLost', 'info', 'nodens_log_lines_dropped_total'),
  counter('NodensTelemetryLost', 'info', 'nodens_trace_export_failures_total'),
  counter('NodensTelemetryLost', 'info', 'nodens_dnstap_dropped_total{to="c:6000"}'),
];
