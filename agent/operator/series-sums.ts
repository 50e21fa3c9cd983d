/** Sums of series, all read in one pass of short steps: a node with many upstreams has thousands. */
import { LINES_AT_ONCE, type Sample, type Source } from '../observe/metrics/samples.ts';

/** A table behind /metrics. */
export type SeriesSource = Source;

/** Cumulative counts of a histogram by upper bound in seconds, the last one Infinity; empty before the first value. */
export type Buckets = readonly { readonly le: number; readonly count: number }[];

type Labels = Readonly<Record<string, string>>;

const NO_LABELS: Labels = {};

/** Ask for sums, then `read`: it fills them in. */
export class SeriesSums {
  readonly #families: ReadonlyMap<string, Iterable<Sample>>;
  /** What each sample is passed to, by name. */
  readonly #takers = new Map<string, ((sample: Sample) => void)[]>();

  constructor(sources: readonly SeriesSource[]) {
    const families = sources.flatMap((source) => [...source.families()]);
    this.#families = new Map(families.map(({ name, values }) => [name, values]));
  }

  /** Sum of the samples of `name` that have `labels`. */
  total(name: string, labels: Labels = NO_LABELS): { readonly value: number } {
    const sum = { value: 0 };
    this.#each(name, name, labels, ({ value }) => {
      sum.value += value;
    });
    return sum;
  }

  /** Sums of the names in `names`. */
  totals<Key extends string>(
    names: Readonly<Record<Key, string>>,
  ): Readonly<Record<Key, { readonly value: number }>> {
    const sums = Object.entries<string>(names).map(([key, name]) => [key, this.total(name)]);
    return Object.fromEntries(sums) as Record<Key, { readonly value: number }>;
  }

  /** The same by the label `to`; `suffix` is `_sum` or `_count` of a histogram. */
  byUpstream(name: string, labels: Labels = NO_LABELS, suffix = ''): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    this.#each(name, `${name}${suffix}`, labels, (sample) => {
      const { to = '' } = sample.labels;
      found.set(to, (found.get(to) ?? 0) + sample.value);
    });
    return found;
  }

  /** The buckets of the histogram `name` with `labels`, which must select one series; read at once. */
  buckets(name: string, labels: Labels): Buckets {
    const all = [...(this.#families.get(name) ?? [])].filter(
      (sample) => sample.metricName === `${name}_bucket` && hasLabels(sample, labels),
    );
    return all.map(({ labels: { le }, value }) => ({
      le: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
      count: value,
    }));
  }

  /** Reads each family once, some samples a step. */
  *read(): Iterator<void, void> {
    let count = 0;
    for (const [name, takers] of this.#takers)
      for (const sample of this.#families.get(name) ?? []) {
        for (const take of takers) take(sample);
        if (++count % LINES_AT_ONCE === 0) yield;
      }
  }

  #each(name: string, metricName: string, labels: Labels, take: (sample: Sample) => void): void {
    const wanted = Object.entries(labels);
    const takers = this.#takers.get(name) ?? [];
    takers.push((sample) => {
      // First: the labels of a bucket are made when they are read.
      if ((sample.metricName ?? name) !== metricName) return;
      if (wanted.every(([label, value]) => sample.labels[label] === value)) take(sample);
    });
    this.#takers.set(name, takers);
  }
}

function hasLabels({ labels }: Sample, wanted: Labels): boolean {
  return Object.entries(wanted).every(([label, value]) => labels[label] === value);
}
