/** A parsed page for Prometheus. */
export interface PageSample {
  /** With `_bucket`, `_sum` or `_count` where the family is a histogram. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PageFamily {
  readonly type: string;
  readonly samples: readonly PageSample[];
}

/** Families by name. Label values have no quote and no line end. */
export function parsePage(text: string): ReadonlyMap<string, PageFamily> {
  const families = new Map<string, { type: string; samples: PageSample[] }>();
  let samples: PageSample[] = [];
  for (const line of text.split('\n')) {
    const [, family = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (family !== '') {
      samples = [];
      families.set(family, { type, samples });
    }
    const sample = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (sample === null) continue;
    const [, name = '', labels = '', value = ''] = sample;
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return families;
}

/** Sum of the samples with the name of the family, or of its count. */
export function totalOf(page: ReadonlyMap<string, PageFamily>, family: string): number {
  const samples = page.get(family)?.samples ?? [];
  return samples
    .filter(({ name }) => name === family || name === `${family}_count`)
    .reduce((sum, { value }) => sum + value, 0);
}
