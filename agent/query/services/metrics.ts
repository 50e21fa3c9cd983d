/** Series, as the rooms count them. */

export type Labels = Readonly<Record<string, string>>;

/** Count with `counter.value++`: a plain number, read when somebody scrapes. */
export interface Counter {
  value: number;
}

export interface Gauge {
  value: number;
}

export interface Histogram {
  observe(value: number): void;
}

/**
 * Series by the names in `observe/names.ts`. The same name and labels always give the same object, so counters go on
 * over reloads. Throws InternalError for a name that is not in the table or labels that are not its own.
 */
export interface Metrics {
  counter(name: string, labels?: Labels): Counter;
  gauge(name: string, labels?: Labels): Gauge;
  histogram(name: string, labels?: Labels): Histogram;
  /** A gauge that is computed at each scrape. A second call replaces the function. */
  gaugeFrom(name: string, labels: Labels, read: () => number): void;
  /** Forgets one series, such as an info gauge whose label value has changed. */
  drop(name: string, labels: Labels): void;
}

/** A page of series, one part after the other; shared and read-only. */
export interface MetricsText {
  readonly contentType: string;
  readonly body: readonly Uint8Array[];
}
