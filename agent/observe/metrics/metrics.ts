/** Counters, gauges and histograms as plain numbers, read only at a scrape. */
import { InternalError } from '../../base/errors.ts';
import type { Counter, Gauge, Histogram, Labels, Metrics } from '../../query/services/metrics.ts';
import { HistogramSeries } from './histogram.ts';
import { COUNTED_SERIES, type SeriesSpec } from './names.ts';
import { type Family, lazily, type Sample, type Source } from './samples.ts';

/** A cell is a number, a histogram, or a function that computes a gauge. */
interface Series {
  readonly labels: Labels;
  cell: { value: number } | HistogramSeries;
  read: (() => number) | undefined;
}

interface Entry {
  readonly name: string;
  readonly spec: SeriesSpec;
  readonly series: Map<string, Series>;
}

const NO_LABELS: Labels = {};

/**
 * The values of all series in `specs`. A name, type or set of labels that is not in `specs` throws InternalError.
 * Counters and histograms without labels exist from the start, all others from their first use or by `preset`.
 */
export class SeriesTable implements Metrics, Source {
  readonly #entries = new Map<string, Entry>();

  constructor(specs: Readonly<Record<string, SeriesSpec>> = COUNTED_SERIES) {
    for (const [name, spec] of Object.entries(specs)) {
      const entry: Entry = { name, spec, series: new Map() };
      this.#entries.set(name, entry);
      const bare = spec.labels.length === 0 && spec.type !== 'gauge';
      for (const labels of spec.preset ?? (bare ? [NO_LABELS] : [])) seriesOf(entry, labels);
    }
  }

  counter(name: string, labels: Labels = NO_LABELS): Counter {
    return this.#series(name, 'counter', labels).cell as Counter;
  }

  gauge(name: string, labels: Labels = NO_LABELS): Gauge {
    const series = this.#series(name, 'gauge', labels);
    series.read = undefined;
    return series.cell as Gauge;
  }

  histogram(name: string, labels: Labels = NO_LABELS): Histogram {
    return this.#series(name, 'histogram', labels).cell as HistogramSeries;
  }

  gaugeFrom(name: string, labels: Labels, read: () => number): void {
    this.#series(name, 'gauge', labels).read = read;
  }

  drop(name: string, labels: Labels): void {
    const entry = this.#entry(name);
    entry.series.delete(keyOf(entry, labels));
  }

  *families(): Iterable<Family> {
    for (const { name, spec, series } of this.#entries.values()) {
      if (series.size === 0) continue;
      const values = lazily(() => samplesOfAll(name, spec, series));
      yield { name, help: spec.help, type: spec.type, values };
    }
  }

  #series(name: string, type: SeriesSpec['type'], labels: Labels): Series {
    const entry = this.#entry(name);
    if (entry.spec.type !== type) {
      throw new InternalError(`${name} is a ${entry.spec.type}, not a ${type}`);
    }
    return seriesOf(entry, labels);
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new InternalError(`no series named ${name}`);
    return entry;
  }
}

function seriesOf(entry: Entry, labels: Labels): Series {
  const key = keyOf(entry, labels);
  let series = entry.series.get(key);
  if (series === undefined) {
    const { buckets } = entry.spec;
    const cell = buckets === undefined ? { value: 0 } : new HistogramSeries(buckets);
    series = { labels: { ...labels }, cell, read: undefined };
    entry.series.set(key, series);
  }
  return series;
}

/** Label values in the table's order, with a separator that no label value contains. */
function keyOf({ name, spec }: Entry, labels: Labels): string {
  const values = spec.labels.map((label) => labels[label]);
  if (values.includes(undefined) || Object.keys(labels).length !== values.length) {
    throw new InternalError(
      `${name} has the labels {${spec.labels}}, not {${Object.keys(labels)}}`,
    );
  }
  return values.join('\u0000');
}

/** A copy: a series that a reload drops and adds meanwhile would appear twice. */
function* samplesOfAll(
  name: string,
  spec: SeriesSpec,
  series: ReadonlyMap<string, Series>,
): Iterable<Sample> {
  const isAlwaysThere = spec.labels.length === 0 || spec.type === 'gauge';
  const showsZero = isAlwaysThere || spec.startsAtZero === true || spec.preset !== undefined;
  for (const one of [...series.values()]) yield* samplesOf(name, one, showsZero);
}

/** What may never happen, such as the handshake of an upstream without TLS, is left out until it does. */
function samplesOf(name: string, { labels, cell, read }: Series, showsZero: boolean): Sample[] {
  if (cell instanceof HistogramSeries)
    return cell.count === 0 && !showsZero ? [] : cell.samples(name, labels);
  const value = read === undefined ? cell.value : read();
  return value === 0 && !showsZero ? [] : [{ labels, value }];
}
