/** Reads a page of OpenMetrics 1.0 and refuses what its text format does not allow. */
import type { PageFamily, PageSample } from './page.ts';

export interface OpenSample extends PageSample {
  readonly exemplar?: { readonly traceId: string; readonly value: number; readonly at: number };
}

export interface OpenFamily extends PageFamily {
  readonly unit: string;
  readonly samples: readonly OpenSample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[n"\\\\])*"';
const LABELS = `\\{(?:${LABEL}(?:,${LABEL})*)?\\}`;
const NUMBER = '[+-]?(?:\\d+(?:\\.\\d*)?(?:e[+-]?\\d+)?|Inf)|NaN';
const SAMPLE = new RegExp(
  `^(${NAME})(${LABELS})? (${NUMBER})(?: # (${LABELS}) (${NUMBER}) (\\d+\\.\\d+))?$`,
);
const METADATA = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.+)$`);

/** Suffixes of samples, by the type of their family. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};

interface Open {
  readonly name: string;
  type: string;
  unit: string;
  readonly given: Set<string>;
  readonly samples: OpenSample[];
}

/** Families by name. Throws an Error with the line that is wrong. */
export function parseOpenMetrics(text: string): ReadonlyMap<string, OpenFamily> {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.pop() !== '# EOF') throw new Error('the page has no end');
  const families = new Map<string, Open>();
  let current: Open | undefined;
  for (const line of lines) {
    const [, kind, name = '', rest = ''] = METADATA.exec(line) ?? [];
    if (kind !== undefined) current = described(families, current, { kind, name, rest });
    else if (current === undefined) throw new Error(`no family: ${line}`);
    else current.samples.push(sampleOf(line, current));
  }
  for (const family of families.values()) checkFamily(family, families);
  return families;
}

function described(
  families: Map<string, Open>,
  current: Open | undefined,
  { kind, name, rest }: Readonly<Record<'kind' | 'name' | 'rest', string>>,
): Open {
  const isNew = current?.name !== name;
  if (isNew && families.has(name)) throw new Error(`${name} is in two parts`);
  const family = isNew
    ? { name, type: '', unit: '', given: new Set<string>(), samples: [] }
    : current;
  families.set(name, family);
  if (family.samples.length > 0) throw new Error(`${kind} of ${name} after its samples`);
  if (family.given.has(kind)) throw new Error(`${kind} of ${name} twice`);
  family.given.add(kind);
  if (kind === 'HELP' && /(?<!\\)(?:\\\\)*"|\\[^n"\\]/.test(rest))
    throw new Error(`not escaped: ${rest}`);
  if (kind === 'TYPE') family.type = rest;
  if (kind === 'UNIT') family.unit = rest;
  return family;
}

function sampleOf(line: string, family: Open): OpenSample {
  const match = SAMPLE.exec(line);
  if (match === null) throw new Error(`no sample: ${line}`);
  const [, name = '', labels = '', value = '', traced, exemplar, at] = match;
  const suffixes = SUFFIXES[family.type] ?? [];
  if (!suffixes.some((suffix) => name === family.name + suffix))
    throw new Error(`not of ${family.type} ${family.name}: ${line}`);
  const sample = {
    name,
    labels: labelsOf(labels),
    value: Number(value.replace('Inf', 'Infinity')),
  };
  if (traced === undefined) return sample;
  if (!/_(bucket|total)$/.test(name)) throw new Error(`no place for an exemplar: ${line}`);
  const { trace_id: traceId = '' } = labelsOf(traced);
  return { ...sample, exemplar: { traceId, value: Number(exemplar), at: Number(at) } };
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [
    key,
    value,
  ]);
  const labels = Object.fromEntries(pairs) as Record<string, string>;
  if (Object.keys(labels).length !== pairs.length) throw new Error(`a label twice: ${text}`);
  return labels;
}

function checkFamily(
  { name, type, unit, samples }: Open,
  families: ReadonlyMap<string, Open>,
): void {
  if (!(type in SUFFIXES)) throw new Error(`${name} has the type "${type}"`);
  if (unit !== '' && !name.endsWith(`_${unit}`)) throw new Error(`${name} is not in ${unit}`);
  if (samples.length === 0) throw new Error(`${name} has no samples`);
  for (const suffix of [...(SUFFIXES[type] ?? []), '_created', '_info'])
    if (suffix !== '' && families.has(name + suffix))
      throw new Error(`${name}${suffix} has two meanings`);
  const keys = samples.map((sample) => `${sample.name} ${JSON.stringify(sample.labels)}`);
  if (new Set(keys).size !== keys.length) throw new Error(`${name} has a series twice`);
  for (const { value } of samples)
    if (type !== 'gauge' && !(value >= 0)) throw new Error(`${name} counts ${value}`);
  if (type === 'histogram') checkHistogram(name, samples);
}

/** Groups of one histogram each: ascending bounds up to +Inf, values that never fall, the count of all. */
function checkHistogram(name: string, samples: readonly OpenSample[]): void {
  const groups = new Map<string, OpenSample[]>();
  let last = '';
  for (const sample of samples) {
    const { le: _, ...own } = sample.labels;
    const key = JSON.stringify(own);
    if (key !== last && groups.has(key)) throw new Error(`${name}${key} is in two parts`);
    last = key;
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const [key, group] of groups) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    if (buckets.at(-1)?.labels.le !== '+Inf' || buckets.at(-1)?.value !== count)
      throw new Error(`${name}${key} does not count all`);
    checkBuckets(name + key, buckets);
  }
}

function checkBuckets(name: string, buckets: readonly OpenSample[]): void {
  let bound = Number.NEGATIVE_INFINITY;
  let total = 0;
  for (const { labels, value, exemplar } of buckets) {
    const text = labels.le ?? '';
    const le = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text);
    if (!/^(?:\d+\.\d+|\d(?:\.\d+)?e[+-]\d\d+|\+Inf)$/.test(text))
      throw new Error(`${name} le="${text}"`);
    if (!(le > bound) || value < total) throw new Error(`${name} does not ascend at ${text}`);
    if (exemplar !== undefined && !(exemplar.value > bound && exemplar.value <= le))
      throw new Error(`${name} le="${text}" has an exemplar of ${exemplar.value}`);
    if (exemplar !== undefined && value === total)
      throw new Error(`${name} le="${text}" counts none`);
    bound = le;
    total = value;
  }
}
