/** What a source of series hands to the exposition: families of samples, computed when somebody scrapes. */
import type { SeriesSpec } from './names.ts';

export interface Sample {
  /** Where it differs from the family's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: SeriesSpec['type'];
  readonly values: readonly Sample[];
}

export interface Source {
  /** Families that have at least one sample; each name from one source only. */
  families(): Iterable<Family>;
}
