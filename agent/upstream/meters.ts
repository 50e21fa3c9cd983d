/** The series of one upstream, resolved once. */
import type { Phase } from '../base/errors.ts';
import type { Transport } from '../query/query.ts';
import type { Counter, Gauge, Metrics } from '../query/services.ts';
import { MISMATCHES, type Mismatch } from './match.ts';

export interface TransportMeters {
  readonly queries: Counter;
  readonly connections: Gauge;
}

export class TargetMeters {
  readonly udp: TransportMeters;
  readonly tcp: TransportMeters;
  readonly #metrics: Metrics;
  readonly #to: string;
  readonly #mismatched: Readonly<Record<Mismatch, Counter>>;

  constructor(metrics: Metrics, to: string) {
    this.#metrics = metrics;
    this.#to = to;
    this.udp = transportMeters(metrics, to, 'udp');
    this.tcp = transportMeters(metrics, to, 'tcp');
    const counters = MISMATCHES.map((reason) => [
      reason,
      metrics.counter('nodens_upstream_mismatched_replies_total', { to, reason }),
    ]);
    this.#mismatched = Object.fromEntries(counters) as Record<Mismatch, Counter>;
  }

  mismatched(reason: Mismatch): void {
    this.#mismatched[reason].value++;
  }

  failed(transport: Transport, phase: Phase): void {
    const labels = { to: this.#to, transport, phase };
    this.#metrics.counter('nodens_upstream_failures_total', labels).value++;
  }
}

function transportMeters(metrics: Metrics, to: string, transport: Transport): TransportMeters {
  const labels = { to, transport };
  return {
    queries: metrics.counter('nodens_upstream_queries_total', labels),
    connections: metrics.gauge('nodens_upstream_connections', labels),
  };
}
