/** An upstream as one group uses it: shared sockets, the group's health settings, the group's labels. */
import { rcodeName } from '../dns/iana.ts';
import type { Transport } from '../query/query.ts';
import type { Counter, Histogram, Metrics } from '../query/services/metrics.ts';
import type { UpstreamQuestion } from '../query/services/upstreams.ts';
import { type Health, type HealthSettings, probeQuestion } from './health/health.ts';
import type { Candidate } from './selection-policy.ts';
import type { Failure } from './transport/failure.ts';
import { isLack } from './transport/failure.ts';
import type { PendingQuery } from './transport/pending-query.ts';
import type { Upstream } from './upstream.ts';

interface CacheCounters {
  readonly hits: Counter;
  readonly misses: Counter;
}

/**
 * An exchange sends through it and reports each reply and failure to it. It passes them to the group's health check and
 * to CoreDNS's series `coredns_proxy_*`.
 */
export class GroupMember implements Candidate {
  readonly upstream: Upstream;
  /** Undefined if the group does not check health. */
  readonly health: Health | undefined;
  /** A question of the agent's own, whose answer no client can influence. */
  readonly probe: UpstreamQuestion;
  readonly #proxyName: string;
  readonly #metrics: Metrics;
  readonly #connections: Readonly<Record<Transport, CacheCounters>>;
  readonly #durations = new Map<number, Histogram>();

  constructor(
    upstream: Upstream,
    health: Health | undefined,
    settings: HealthSettings,
    metrics: Metrics,
  ) {
    this.upstream = upstream;
    this.health = health;
    this.probe = probeQuestion(settings);
    this.#proxyName = settings.proxyName;
    this.#metrics = metrics;
    // CoreDNS's label for DNS over TLS.
    const stream = upstream.stream === 'tls' ? 'tcp-tls' : upstream.stream;
    this.#connections = { udp: this.#cacheCounters('udp'), tcp: this.#cacheCounters(stream) };
  }

  /** False if the group does not check health; so is `isSuspect`. */
  get isDown(): boolean {
    return this.health?.isDown ?? false;
  }

  get isSuspect(): boolean {
    return this.health?.isSuspect ?? false;
  }

  /** Sends over the query's transport. A query that cannot be sent fails, possibly before this returns. */
  send(pending: PendingQuery): void {
    // On return, `pending` may have failed and been counted already.
    const counters = this.#connections[pending.transport];
    const wasOpen = this.upstream.send(pending);
    if (wasOpen) counters.hits.value++;
    else counters.misses.value++;
  }

  /** The upstream replied to `pending`, `durationMs` after it was sent. */
  answered(pending: PendingQuery, rcode: number, durationMs: number): void {
    this.upstream.answered(pending);
    this.health?.recordReply(rcode, pending.question.name);
    this.#duration(rcode).observe(durationMs / 1_000);
  }

  /** An attempt failed or is overdue. A local lack of resources is not the upstream's failure. */
  failed(pending: PendingQuery, failure: Failure): void {
    if (isLack(failure)) return;
    this.upstream.metrics.failed(pending.transport, failure.phase);
    this.health?.fault(failure);
  }

  #duration(rcode: number): Histogram {
    let histogram = this.#durations.get(rcode);
    if (histogram === undefined) {
      const name = rcodeName(rcode);
      // An upstream that invents rcodes must not create series.
      const label = name.startsWith('RCODE') ? 'other' : name;
      const labels = { proxy_name: this.#proxyName, to: this.upstream.name, rcode: label };
      histogram = this.#metrics.histogram('coredns_proxy_request_duration_seconds', labels);
      this.#durations.set(rcode, histogram);
    }
    return histogram;
  }

  #cacheCounters(proto: string): CacheCounters {
    const labels = { proxy_name: this.#proxyName, to: this.upstream.name, proto };
    return {
      hits: this.#metrics.counter('coredns_proxy_conn_cache_hits_total', labels),
      misses: this.#metrics.counter('coredns_proxy_conn_cache_misses_total', labels),
    };
  }
}
