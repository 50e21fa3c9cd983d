/** The metrics interface of all rooms. */

/** Label values by label name. */
export type Labels = Readonly<Record<string, string>>;

/** Count with `counter.value++`: a plain number, read at each scrape. */
export interface Counter {
  value: number;
}

/** A value that may also fall; read at each scrape. */
export interface Gauge {
  value: number;
}

/** `observe` takes the unit of the metric's name: seconds or bytes. */
export interface Histogram {
  /** `times` observations of the same value, 1 by default. */
  observe(value: number, times?: number): void;
}

/**
 * Series by the names in `observe/metrics/names.ts`. The same name and labels always return the same object, so
 * counters continue over reloads. Throws InternalError for a name that is not in the table or for labels that are not
 * its own.
 */
export interface Metrics {
  counter(name: string, labels?: Labels): Counter;
  gauge(name: string, labels?: Labels): Gauge;
  histogram(name: string, labels?: Labels): Histogram;
  /** A gauge that is computed at each scrape. A second call replaces the function. */
  gaugeFrom(name: string, labels: Labels, read: () => number): void;
  /** Removes one series, such as an info gauge whose label value has changed. */
  drop(name: string, labels: Labels): void;
}

/** A page of series, in parts; shared and read-only. */
export interface MetricsText {
  readonly contentType: string;
  readonly body: readonly Uint8Array[];
}
