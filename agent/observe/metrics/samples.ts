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

/** A sample, or one step of the work for a later one. */
export type Step = Sample | undefined;

/** All samples of one name, with what HELP and TYPE say about it. */
export interface Family<Value extends Step = Sample> {
  readonly name: string;
  readonly help: string;
  readonly type: SeriesSpec['type'];
  /** Computed at each iteration, one by one. A family without samples is omitted. */
  readonly values: Iterable<Value>;
}

/** A part of the agent that has series. A page is rendered from all sources. */
export interface Source {
  /** Each name comes from one source only. */
  families(): Iterable<Family>;
}

/** The values of `make`, created anew at each iteration and not before. */
export function lazily<Value>(make: () => Iterable<Value>): Iterable<Value> {
  return { [Symbol.iterator]: () => make()[Symbol.iterator]() };
}
