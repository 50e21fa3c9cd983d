/** Counts denied expansions by namespace: what ndots costs, and for which workloads. */
import type { Counter, Metrics } from '../../query/services/metrics.ts';

/** Namespaces with a series of their own, in the life of the process; further ones count as `other`. */
const MAX_NAMESPACES = 100;

/** The counters of a process, by namespace: every plugin uses the same, also after a reload, so that their number is bounded. */
const COUNTERS = new WeakMap<Metrics, Map<string, Counter>>();

/** One for each plugin. */
export class DeniedExpansions {
  readonly #metrics: Metrics;
  readonly #counters: Map<string, Counter>;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#counters = COUNTERS.get(metrics) ?? new Map();
    COUNTERS.set(metrics, this.#counters);
  }

  /** Counts a query of a pod of `namespace`; undefined for a client that is no pod. */
  count(namespace: string | undefined): void {
    if (namespace !== undefined) this.#counterOf(namespace).value++;
  }

  #counterOf(namespace: string): Counter {
    const known = this.#counters.get(namespace);
    if (known !== undefined) return known;
    const label = this.#counters.size < MAX_NAMESPACES ? namespace : 'other';
    const counter = this.#metrics.counter('nodens_autopath_denied_expansions_total', {
      client_namespace: label,
    });
    // `other` is looked up again each time, so that the map stays bounded.
    if (label !== 'other') this.#counters.set(namespace, counter);
    return counter;
  }
}
