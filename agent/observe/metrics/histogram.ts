/** A histogram of plain numbers (docs/decisions/013-metrics-as-plain-numbers.md). */
import type { Histogram } from '../../query/services/metrics.ts';
import { numberText } from './line-text.ts';
import { Bucket, type Exemplar, type Sample } from './samples.ts';

/** What all histograms with the same bounds share. */
interface Bounds {
  readonly texts: readonly string[];
  /** By name: the part of each bucket's line before the labels of its series. */
  readonly starts: Map<string, readonly string[]>;
}

const allBounds = new WeakMap<readonly number[], Bounds>();

function boundsOf(bounds: readonly number[]): Bounds {
  const known = allBounds.get(bounds);
  if (known !== undefined) return known;
  const made = { texts: [...bounds.map(String), '+Inf'], starts: new Map() };
  allBounds.set(bounds, made);
  return made;
}

function startsOf({ texts, starts }: Bounds, name: string): readonly string[] {
  const known = starts.get(name);
  if (known !== undefined) return known;
  const made = texts.map((le) => `${name}_bucket{le="${le}"`);
  starts.set(name, made);
  return made;
}

/** One series of a histogram. `bounds` ascend, without +Inf; a value that equals a bound counts below it. */
export class HistogramSeries implements Histogram {
  readonly #bounds: Float64Array;
  readonly #shared: Bounds;
  /** Observations per bucket, not cumulative; the last is +Inf. */
  readonly #counts: Float64Array;
  /** In an array, because a fractional number in a field would be a new object at each change. */
  readonly #sum = new Float64Array(1);
  /** The last one of each bucket; undefined before the first. */
  #exemplars: (Exemplar | undefined)[] | undefined;

  constructor(bounds: readonly number[]) {
    this.#bounds = Float64Array.from(bounds);
    this.#shared = boundsOf(bounds);
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
    let total = 0;
    for (let i = 0; i < this.#counts.length; i++) total += this.#counts[i] as number;
    return total;
  }

  /** Samples in Prometheus's form: cumulative `_bucket`s, then `_sum` and `_count`. */
  samples(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    const metricName = `${name}_bucket`;
    const samples: Sample[] = [];
    let total = 0;
    this.#counts.forEach((count, i) => {
      total += count;
      const le = this.#shared.texts[i] as string;
      samples.push(new Bucket(metricName, labels, le, total, this.#exemplars?.[i]));
    });
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum[0] as number });
    samples.push({ metricName: `${name}_count`, labels, value: total });
    return samples;
  }

  /** Number of lines of `text`. */
  get lines(): number {
    return this.#counts.length + 2;
  }

  /** `samples` as lines for Prometheus; `labels` as `labelsText` writes them. */
  text(name: string, labels: string): string {
    const starts = startsOf(this.#shared, name);
    const rest = labels === '' ? '} ' : `,${labels}} `;
    let text = '';
    let total = 0;
    for (let i = 0; i < starts.length; i++) {
      total += this.#counts[i] as number;
      text += `${starts[i] as string}${rest}${total}\n`;
    }
    const own = labels === '' ? ' ' : `{${labels}} `;
    return `${text}${name}_sum${own}${numberText(this.#sum[0] as number)}\n${name}_count${own}${total}\n`;
  }
}
