/** A histogram of plain numbers (docs/decisions/013-metrics-as-plain-numbers.md). */
import type { Histogram } from '../../query/services/metrics.ts';
import { Bucket, type Exemplar, type Sample } from './samples.ts';

/** Bounds as text; histograms of one name share them. */
const boundTexts = new WeakMap<readonly number[], readonly string[]>();

function textsOf(bounds: readonly number[]): readonly string[] {
  const known = boundTexts.get(bounds);
  if (known !== undefined) return known;
  const texts = [...bounds.map(String), '+Inf'];
  boundTexts.set(bounds, texts);
  return texts;
}

/** One series of a histogram. `bounds` ascend, without +Inf; a value that equals a bound counts below it. */
export class HistogramSeries implements Histogram {
  readonly #bounds: Float64Array;
  readonly #texts: readonly string[];
  /** Observations per bucket, not cumulative; the last is +Inf. */
  readonly #counts: Float64Array;
  /** In an array, because a fractional number in a field would be a new object at each change. */
  readonly #sum = new Float64Array(1);
  /** The last one of each bucket; undefined before the first. */
  #exemplars: (Exemplar | undefined)[] | undefined;

  constructor(bounds: readonly number[]) {
    this.#bounds = Float64Array.from(bounds);
    this.#texts = textsOf(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** `times` observations of the same value. */
  observe(value: number, times = 1): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + times;
    this.#sum[0] = (this.#sum[0] as number) + value * times;
  }

  /** Keeps `exemplar` for the bucket in which `observe` counts its value. */
  exemplify(exemplar: Exemplar): void {
    const bucket = this.#bounds.findIndex((bound) => exemplar.value <= bound);
    this.#exemplars ??= [];
    this.#exemplars[bucket < 0 ? this.#bounds.length : bucket] = exemplar;
  }

  get count(): number {
    return this.#counts.reduce((total, count) => total + count, 0);
  }

  /** Samples in Prometheus's form: cumulative `_bucket`s, then `_sum` and `_count`. */
  samples(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    const metricName = `${name}_bucket`;
    const samples: Sample[] = [];
    let total = 0;
    this.#counts.forEach((count, i) => {
      total += count;
      const le = this.#texts[i] as string;
      samples.push(new Bucket(metricName, labels, le, total, this.#exemplars?.[i]));
    });
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum[0] as number });
    samples.push({ metricName: `${name}_count`, labels, value: total });
    return samples;
  }
}
