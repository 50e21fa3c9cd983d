/** Series of what the agent reads of the Kubernetes API. */
import { API_BUCKETS, PROGRAMMING_BUCKETS } from './buckets.ts';
import { counter, gauge, histogram, type SeriesSpec } from './series-spec.ts';

/** Part of `COUNTED_SERIES`. `resource` is a collection: `pods`. */
export const KUBERNETES_SERIES = {
  nodens_api_requests_total: counter(
    'Requests to the API server; `code` is the HTTP status, or `none` without an answer.',
    ['resource', 'verb', 'code'],
  ),
  nodens_api_events_total: counter('Events of watches, bookmarks included.', ['resource']),
  nodens_api_relists_total: counter(
    'Lists that were needed because the API server no longer knew where a watch had ended.',
    ['resource'],
  ),
  nodens_api_malformed_objects_total: counter('Objects of the API server that cannot be read.', [
    'resource',
  ]),
  coredns_autopath_success_total: counter(
    "Queries that autopath answered with a later element of the client's search list.",
    ['server'],
  ),
  nodens_autopath_total: counter(
    'Denied expansions that autopath looked at, by what became of them.',
    ['result'],
  ),
  nodens_autopath_denied_expansions_total: counter(
    'Queries of pods of this node for the first element of their search list that were denied.',
    // Not `namespace`: Prometheus gives that of the agent's own pod to every series.
    ['client_namespace'],
  ),
  coredns_kubernetes_rest_client_requests_total: counter(
    'Requests to the API server; `code` is the HTTP status, or `<error>` without an answer.',
    ['code', 'method', 'host'],
  ),
  coredns_kubernetes_rest_client_request_duration_seconds: histogram(
    'Time until the API server began to answer a request, in seconds.',
    API_BUCKETS,
    ['verb', 'host'],
  ),
  coredns_kubernetes_dns_programming_duration_seconds: histogram(
    "Time from a change of a headless Service's endpoints to answers with it, in seconds.",
    PROGRAMMING_BUCKETS,
    ['service_kind'],
  ),
  nodens_kubernetes_objects: gauge(
    'Objects of the cluster whose records the agent has; by kind: namespaces, services, endpoints, pods, addresses.',
    ['kind'],
  ),
  nodens_kubernetes_queries_total: counter(
    'Queries in the zones of kubernetes, by what became of them.',
    ['result'],
  ),
} as const satisfies Record<string, SeriesSpec>;
