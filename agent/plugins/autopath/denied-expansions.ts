/** Counts denied expansions by namespace: what ndots costs, and for which workloads. */
import type { Counter, Metrics } from '../../query/services/metrics.ts';

/** Namespaces with a series of their own; further ones count as `other`. */
const MAX_NAMESPACES = 100;

/** One for each plugin; the counters are the process's. */
export class DeniedExpansions {
  readonly #metrics: Metrics;
  readonly #namespaceOf: (address: string) => string | undefined;
  readonly #counters = new Map<string, Counter>();

  /** `namespaceOf` returns undefined where the client's pod is in doubt. */
  constructor(metrics: Metrics, namespaceOf: (address: string) => string | undefined) {
    this.#metrics = metrics;
    this.#namespaceOf = namespaceOf;
  }

  /** Counts a query of the client at `address`. */
  count(address: string): void {
    const namespace = this.#namespaceOf(address);
    if (namespace !== undefined) this.#counterOf(namespace).value++;
  }

  #counterOf(namespace: string): Counter {
    const known = this.#counters.get(namespace);
    if (known !== undefined) return known;
    const label = this.#counters.size < MAX_NAMESPACES ? namespace : 'other';
    const counter = this.#metrics.counter('nodens_autopath_denied_expansions_total', {
      namespace: label,
    });
    // `other` is looked up again each time, so that the map stays bounded.
    if (label !== 'other') this.#counters.set(namespace, counter);
    return counter;
  }
}
