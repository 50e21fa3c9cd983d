/** Counters, gauges and histograms as plain numbers, read only at a scrape. */
import { InternalError } from '../../base/errors.ts';
import type { Counter, Gauge, Histogram, Labels, Metrics } from '../../query/services/metrics.ts';
import { HistogramSeries } from './histogram.ts';
import { labelsText, numberText } from './line-text.ts';
import { COUNTED_SERIES, type SeriesSpec } from './names.ts';
import { type Family, LINES_AT_ONCE, lazily, type Sample, type Source } from './samples.ts';

/** A cell is a number, a histogram, or a function that computes a gauge. */
interface Series {
  readonly labels: Labels;
  cell: { value: number } | HistogramSeries;
  read: (() => number) | undefined;
  /** The unchanging part of its line, or of a histogram's lines; undefined before the first scrape. */
  text: string | undefined;
}

interface Entry {
  readonly name: string;
  readonly spec: SeriesSpec;
  readonly series: Map<string, Series>;
  readonly family: Family;
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
      const entry = entryOf(name, spec);
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
    for (const { series, family } of this.#entries.values()) if (series.size > 0) yield family;
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

function entryOf(name: string, spec: SeriesSpec): Entry {
  const series = new Map<string, Series>();
  const values = lazily(() => samplesOfAll(name, spec, series));
  const texts = lazily(() => textsOfAll(name, spec, series));
  const family: Family = { name, help: spec.help, type: spec.type, values, texts };
  return { name, spec, series, family };
}

function seriesOf(entry: Entry, labels: Labels): Series {
  const key = keyOf(entry, labels);
  let series = entry.series.get(key);
  if (series === undefined) {
    const { buckets } = entry.spec;
    const cell = buckets === undefined ? { value: 0 } : new HistogramSeries(buckets);
    series = { labels: { ...labels }, cell, read: undefined, text: undefined };
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
  const showsZero = isShownAtZero(spec);
  for (const one of [...series.values()]) yield* samplesOf(name, one, showsZero);
}

/** The same samples as text. */
function* textsOfAll(
  name: string,
  spec: SeriesSpec,
  series: ReadonlyMap<string, Series>,
): Iterable<string> {
  const showsZero = isShownAtZero(spec);
  let text = '';
  let left = LINES_AT_ONCE;
  for (const one of [...series.values()]) {
    text += textOf(name, one, showsZero);
    left -= one.cell instanceof HistogramSeries ? one.cell.lines : 1;
    if (left > 0) continue;
    yield text;
    text = '';
    left = LINES_AT_ONCE;
  }
  if (text !== '') yield text;
}

/** What may never happen, such as the handshake of an upstream without TLS, is left out until it does. */
function isShownAtZero({ labels, type, startsAtZero, preset }: SeriesSpec): boolean {
  const isAlwaysThere = labels.length === 0 || type === 'gauge';
  return isAlwaysThere || startsAtZero === true || preset !== undefined;
}

function samplesOf(name: string, { labels, cell, read }: Series, showsZero: boolean): Sample[] {
  if (cell instanceof HistogramSeries)
    return cell.count === 0 && !showsZero ? [] : cell.samples(name, labels);
  const value = read === undefined ? cell.value : read();
  return value === 0 && !showsZero ? [] : [{ labels, value }];
}

function textOf(name: string, series: Series, showsZero: boolean): string {
  const { cell, read } = series;
  if (cell instanceof HistogramSeries) {
    if (!showsZero && cell.count === 0) return '';
    series.text ??= labelsText(series.labels);
    return cell.text(name, series.text);
  }
  const value = read === undefined ? cell.value : read();
  if (value === 0 && !showsZero) return '';
  series.text ??= lineStart(name, labelsText(series.labels));
  return `${series.text}${numberText(value)}\n`;
}

function lineStart(name: string, labels: string): string {
  return labels === '' ? `${name} ` : `${name}{${labels}} `;
}
