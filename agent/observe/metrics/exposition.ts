/**
 * The page of metrics: those of the process (process_*, nodejs_*), which are prom-client's, and all series of the
 * sources. It is rendered in small steps, so that any number of series does not delay DNS.
 */
import type { PacedWork } from '../../base/paced-work.ts';
import type { MetricsText } from '../../query/services/metrics.ts';
import { TextParts } from '../admin/text-parts.ts';
import { FamilyText } from './family-text.ts';
import { olderNames } from './legacy-names.ts';
import { headText } from './line-text.ts';
import { OPEN_METRICS_END, OPEN_METRICS_TYPE, openMetricsLines } from './open-metrics.ts';
import { loadProcessMetrics, type ProcessMetrics } from './process-metrics.ts';
import { type Family, LINES_AT_ONCE, type Source, type Step } from './samples.ts';

/** Key of rendering in `PacedWork`. No client has such a key. */
const WORK_KEY = 'exposition';

/** The text of /metrics from all sources. Every step of a page is a job of `PacedWork`. */
export class Exposition {
  readonly #sources: readonly Source[];
  readonly #work: PacedWork;
  #loading: Promise<ProcessMetrics> | undefined;
  /** Families as the sources listed them last, and in the order of names. */
  #listed: readonly Family[] = [];
  #sorted: readonly Family[] = [];
  /** HELP and TYPE by name. */
  readonly #heads = new Map<string, string>();

  constructor(sources: readonly Source[], work: PacedWork) {
    this.#sources = sources;
    this.#work = work;
  }

  /** Loads prom-client, which takes some milliseconds: not in the first scrape. */
  async load(): Promise<void> {
    this.#loading ??= loadProcessMetrics();
    await this.#loading;
  }

  /** Renders the process's metrics, then all sources in the order of names; with `isOlder` older names as well. */
  async render(isOlder: boolean): Promise<MetricsText> {
    this.#loading ??= loadProcessMetrics();
    const own = await this.#loading;
    const parts = new TextParts();
    const families = await this.#step(() => own.families());
    const lines = this.#written(families, isOlder, parts);
    await this.#work.finish(WORK_KEY, lines);
    return { contentType: own.contentType, body: parts.end() };
  }

  /** The same page as OpenMetrics, with exemplars. */
  async renderOpenMetrics(isOlder: boolean): Promise<MetricsText> {
    this.#loading ??= loadProcessMetrics();
    const own = await this.#loading;
    const families: Family<Step>[] = [...(await this.#step(() => own.families()))];
    families.push(...(await this.#step(() => this.#families(isOlder))));
    const parts = new TextParts();
    const lines = openMetricsLines(families, parts);
    await this.#work.finish(WORK_KEY, lines);
    parts.add(OPEN_METRICS_END);
    return { contentType: OPEN_METRICS_TYPE, body: parts.end() };
  }

  /** Writes some lines a step. */
  *#written(own: readonly Family[], isOlder: boolean, parts: TextParts): Iterator<void> {
    for (const family of own) this.#writeWhole(family, parts);
    yield;
    for (const family of this.#families(isOlder)) {
      let isFirst = true;
      for (const text of family.texts ?? linesOf(family)) {
        if (text !== '' && isFirst) {
          parts.add(this.#headOf(family));
          isFirst = false;
        }
        parts.add(text);
        yield;
      }
      if (!isFirst) parts.add('\n');
    }
  }

  #writeWhole(family: Family, parts: TextParts): void {
    parts.add(this.#headOf(family));
    for (const text of linesOf(family)) parts.add(text);
    parts.add('\n');
  }

  #headOf({ name, help, type }: Family<Step>): string {
    let head = this.#heads.get(name);
    if (head === undefined) {
      head = headText(name, help, type);
      this.#heads.set(name, head);
    }
    return head;
  }

  #families(isOlder: boolean): readonly Family<Step>[] {
    const families: Family[] = [];
    for (const source of this.#sources) families.push(...source.families());
    if (isOlder) return byName([...families, ...olderNames(families)]);
    const { length } = this.#listed;
    if (families.length !== length || families.some((one, i) => one !== this.#listed[i])) {
      this.#listed = families;
      this.#sorted = byName(families);
    }
    return this.#sorted;
  }

  #step<T>(job: () => T | Promise<T>): Promise<T> {
    return this.#work.run(WORK_KEY, job);
  }
}

function byName<Value extends Step>(families: readonly Family<Value>[]): Family<Value>[] {
  return families.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The lines of a family without `texts`, and '' for other steps. */
function* linesOf(family: Family<Step>): Iterable<string> {
  const text = new FamilyText(family);
  let lines = '';
  let left = LINES_AT_ONCE;
  for (const step of family.values) {
    if (step !== undefined) lines += text.line(step);
    left--;
    if (left > 0) continue;
    yield lines;
    lines = '';
    left = LINES_AT_ONCE;
  }
  if (lines !== '') yield lines;
}
