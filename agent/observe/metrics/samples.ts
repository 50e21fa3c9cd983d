/**
 * Families of samples that a source passes to the exposition. Nothing is computed before it is iterated, so that a page
 * of any size can be rendered in small steps.
 */
import type { SeriesSpec } from './names.ts';

/** One line of the exposition. */
export interface Sample {
  /** If it differs from the family's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A traced query that a bucket counts: OpenMetrics writes it beside the bucket's number. */
export interface Exemplar {
  readonly traceId: string;
  /** In the unit of the histogram. */
  readonly value: number;
  /** Unix time, milliseconds. */
  readonly atMs: number;
}

/** A bucket of a histogram: most lines of a page. Its labels are made when they are read; the page needs only their text. */
export class Bucket implements Sample {
  readonly metricName: string;
  /** The labels of the histogram, one object for all its buckets. */
  readonly own: Sample['labels'];
  /** Upper bound. */
  readonly le: string;
  readonly value: number;
  readonly exemplar: Exemplar | undefined;

  constructor(
    metricName: string,
    own: Sample['labels'],
    le: string,
    value: number,
    exemplar: Exemplar | undefined,
  ) {
    this.metricName = metricName;
    this.own = own;
    this.le = le;
    this.value = value;
    this.exemplar = exemplar;
  }

  get labels(): Sample['labels'] {
    return { ...this.own, le: this.le };
  }
}

/** A sample, or one step of the work for a later one. */
export type Step = Sample | undefined;

/** All samples of one name, with what HELP and TYPE say about it. */
export interface Family<Value extends Step = Sample> {
  readonly name: string;
  readonly help: string;
  readonly type: SeriesSpec['type'];
  /** Computed at each iteration, one by one. A family without samples is omitted. */
  readonly values: Iterable<Value>;
  /**
   * The same samples as lines for Prometheus, written from texts that do not change between scrapes. Each text has about
   * `LINES_AT_ONCE` lines and may be empty. Without it, `FamilyText` writes `values`.
   */
  readonly texts?: Iterable<string>;
}

/** Lines that are written without a look at the time: a few hundredths of a millisecond. */
export const LINES_AT_ONCE = 32;

/** A part of the agent that has series. A page is rendered from all sources. */
export interface Source {
  /** Each name comes from one source only. */
  families(): Iterable<Family>;
}

/** The values of `make`, created anew at each iteration and not before. */
export function lazily<Value>(make: () => Iterable<Value>): Iterable<Value> {
  return { [Symbol.iterator]: () => make()[Symbol.iterator]() };
}
