/**
 * The page as OpenMetrics 1.0, in which a bucket can name a trace. It differs from Prometheus's own text: the family of
 * a counter lacks `_total`, bounds are written as Go writes them, units are named, and the end is marked.
 */
import type { TextParts } from '../admin/text-parts.ts';
import { FamilyText } from './family-text.ts';
import { Bucket, type Exemplar, type Family, lazily, type Sample, type Step } from './samples.ts';

/** That of prom-client, which is loaded late. */
export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
/** The last line. */
export const OPEN_METRICS_END = '# EOF\n';

const TOTAL = /_total$/;
const UNIT = /_(seconds|bytes)$/;

/** Writes one sample a step. */
export function* openMetricsLines(
  families: readonly Family<Step>[],
  parts: TextParts,
): Iterator<void> {
  for (const family of renamed(families)) {
    const text = new FamilyText(family);
    const [, unit] = UNIT.exec(family.name) ?? [];
    for (const step of family.values) {
      if (step !== undefined) {
        if (unit !== undefined && !text.hasLines) parts.add(`# UNIT ${family.name} ${unit}\n`);
        const line = text.lineOrHead(step);
        const exemplar = step instanceof Bucket ? step.exemplar : undefined;
        parts.add(exemplar === undefined ? line : withExemplar(line, exemplar));
      }
      yield;
    }
  }
}

/**
 * The families under their names in OpenMetrics. One is left out if a counter has its name then: the older name
 * `coredns_nodecache_setup_errors`.
 */
function renamed(families: readonly Family<Step>[]): Family<Step>[] {
  const counters = families.filter(({ type }) => type === 'counter');
  const taken = new Set(counters.map(({ name }) => name.replace(TOTAL, '')));
  return families
    .filter(({ type, name }) => type === 'counter' || !taken.has(name))
    .map((family) => {
      const { type, name, values } = family;
      if (type === 'counter')
        return { ...family, name: name.replace(TOTAL, ''), values: each(values, named(name)) };
      return type === 'histogram' ? { ...family, values: each(values, bounded) } : family;
    });
}

function each(values: Iterable<Step>, change: (sample: Sample) => Sample): Iterable<Step> {
  return lazily(function* () {
    for (const step of values) yield step === undefined ? undefined : change(step);
  });
}

const named =
  (metricName: string) =>
  ({ labels, value }: Sample): Sample => ({ metricName, labels, value });

function bounded(sample: Sample): Sample {
  if (sample instanceof Bucket) {
    const { metricName, own, le, value, exemplar } = sample;
    return new Bucket(metricName, own, goFloat(le), value, exemplar);
  }
  const { le } = sample.labels;
  return le === undefined ? sample : { ...sample, labels: { ...sample.labels, le: goFloat(le) } };
}

/** Bounds by their text on the other page. */
const goFloats = new Map<string, string>();

/** A bound in the form that OpenMetrics has for it, that of Go's `%g` and never without a point: `1e-05`, `0.5`, `100.0`. */
function goFloat(le: string | number): string {
  const text = String(le);
  const known = goFloats.get(text) ?? goText(Number(text), text);
  goFloats.set(text, known);
  return known;
}

function goText(value: number, text: string): string {
  if (!Number.isFinite(value)) return text;
  const [digits, power] = value.toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return Number.isInteger(value) ? `${value}.0` : String(value);
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

function withExemplar(line: string, { traceId, value, atMs }: Exemplar): string {
  const at = (atMs / 1_000).toFixed(3);
  return `${line.slice(0, -1)} # {trace_id="${traceId}"} ${value} ${at}\n`;
}
