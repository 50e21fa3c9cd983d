/** The series of one upstream, resolved once. */
import type { Phase } from '../base/errors.ts';
import type { Transport } from '../query/query.ts';
import type { Counter, Gauge, Histogram, Metrics } from '../query/services/metrics.ts';
import type { UpstreamProtocol } from '../query/services/upstreams.ts';
import { MISMATCHES, type Mismatch } from './transport/match.ts';

/** What an upstream may not accept: EDNS, more than a few queries on a connection, more than one at once. */
export type Limit = 'edns' | 'queries_per_connection' | 'queries_at_once';

/** What streams to an upstream carry. */
export type WireStream = Exclude<UpstreamProtocol, 'udp'>;

/** Phases with a duration; `match` has none. */
const TIMED_PHASES = ['connect', 'handshake', 'write', 'wait'] as const;
type TimedPhase = (typeof TIMED_PHASES)[number];

/** Result of a hedge: its reply was used, another was, or there was no budget for it. A hedge that fails has lost. */
export type HedgeResult = 'won' | 'lost' | 'denied';

/** Series of one transport: UDP, or the stream transport, which is TCP, TLS or HTTPS. */
export interface TransportMetrics {
  readonly queries: Counter;
  readonly connections: Gauge;
  /** Seconds. `connect` and `handshake` once per connection, `write` once per batch, `wait` once per reply. */
  readonly phases: Readonly<Record<TimedPhase, Histogram>>;
}

/** Series with the label `to`; groups and configurations that share the upstream share them. */
export class UpstreamMetrics {
  readonly udp: TransportMetrics;
  /** Of the stream transport. */
  readonly tcp: TransportMetrics;
  readonly #metrics: Metrics;
  readonly #to: string;
  readonly #stream: WireStream;
  readonly #mismatched: Readonly<Record<Mismatch, Counter>>;

  constructor(metrics: Metrics, to: string, stream: WireStream) {
    this.#metrics = metrics;
    this.#to = to;
    this.#stream = stream;
    this.udp = transportMeters(metrics, to, 'udp');
    this.tcp = transportMeters(metrics, to, stream);
    const counters = MISMATCHES.map((reason) => [
      reason,
      metrics.counter('nodens_upstream_mismatched_replies_total', { to, reason }),
    ]);
    this.#mismatched = Object.fromEntries(counters) as Record<Mismatch, Counter>;
  }

  /** A message was ignored, or a reply could not be used. */
  mismatched(reason: Mismatch): void {
    this.#mismatched[reason].value++;
  }

  /** An attempt failed or is overdue. Over TLS `transport` is `tcp`, and the label says `tls`; so with HTTPS and `learned`. */
  failed(transport: Transport, phase: Phase): void {
    const labels = { to: this.#to, transport: this.#wire(transport), phase };
    this.#metrics.counter('nodens_upstream_failures_total', labels).value++;
  }

  /** The agent has found that the upstream does not accept `what`. */
  learned(transport: Transport, what: Limit): void {
    const labels = { to: this.#to, transport: this.#wire(transport), what };
    this.#metrics.counter('nodens_upstream_learned_total', labels).value++;
  }

  /** A hedge has ended, or was due but not allowed. */
  hedged(result: HedgeResult): void {
    this.#metrics.counter('nodens_upstream_hedges_total', { to: this.#to, result }).value++;
  }

  #wire(transport: Transport): UpstreamProtocol {
    return transport === 'udp' ? transport : this.#stream;
  }
}

function transportMeters(
  metrics: Metrics,
  to: string,
  transport: UpstreamProtocol,
): TransportMetrics {
  const labels = { to, transport };
  const phases = TIMED_PHASES.map((phase) => [
    phase,
    metrics.histogram('nodens_upstream_phase_seconds', { ...labels, phase }),
  ]);
  return {
    queries: metrics.counter('nodens_upstream_queries_total', labels),
    connections: metrics.gauge('nodens_upstream_connections', labels),
    phases: Object.fromEntries(phases) as TransportMetrics['phases'],
  };
}
