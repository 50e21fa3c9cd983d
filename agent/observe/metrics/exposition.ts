/**
 * The page of metrics: those of the process (process_*, nodejs_*), which are prom-client's, and all series of the
 * sources. It is rendered in small steps, so that any number of series does not delay DNS.
 */
import { readdirSync, statSync } from 'node:fs';
import type { Registry } from 'prom-client';
import type { PacedWork } from '../../base/paced-work.ts';
import type { MetricsText } from '../../query/services/metrics.ts';
import { TextParts } from '../admin/text-parts.ts';
import { FamilyText } from './family-text.ts';
import { olderNames } from './legacy-names.ts';
import { OPEN_METRICS_END, OPEN_METRICS_TYPE, openMetricsLines } from './open-metrics.ts';
import type { Family, Source, Step } from './samples.ts';

/**
 * Excluded process metrics of the library: lists of handles, which are slow and have names that linters refuse; the
 * event loop monitor, which wakes the process 100 times a second (`coredns_health_request_duration_seconds` measures
 * the same); the spaces of V8's heap, 39 series for those who work on V8; and the number of descriptors, which is
 * computed below.
 */
const LEFT_OUT = /^nodejs_(active|eventloop|heap_space)_|^process_open_fds$/;
/** The monitor cannot be disabled, but its interval can be long. */
const MONITOR_INTERVAL_MS = 3_600_000;
/** Seconds: whether clients notice a collection. */
const GC_BUCKETS = [0.01];
/** Samples written between two readings of the clock: less than 0.1 ms, and more before the code is compiled. */
const STEP_SAMPLES = 64;
/** Key of rendering in `PacedWork`. No client has such a key. */
const WORK_KEY = 'exposition';

/** The text of /metrics from all sources. Every step of a page is a job of `PacedWork`. */
export class Exposition {
  readonly #sources: readonly Source[];
  readonly #work: PacedWork;
  #loading: Promise<Registry> | undefined;

  constructor(sources: readonly Source[], work: PacedWork) {
    this.#sources = sources;
    this.#work = work;
  }

  /** Loads prom-client, which would delay queries. Call it before the agent serves. */
  async load(): Promise<void> {
    this.#loading ??= load();
    await this.#loading;
  }

  /** Renders the process's metrics, then all sources in the order of names; with `isOlder` older names as well. */
  async render(isOlder: boolean): Promise<MetricsText> {
    this.#loading ??= load();
    const own = await this.#loading;
    const parts = new TextParts();
    for (const { name } of own.getMetricsAsArray()) {
      const text = await this.#step(() => own.getSingleMetricAsString(name));
      parts.add(`${text}\n\n`);
    }
    const families = await this.#step(() => this.#families(isOlder));
    const samples = written(families, parts);
    while (await this.#step(() => hasMore(samples)));
    return { contentType: own.contentType, body: parts.end() };
  }

  /** The same page as OpenMetrics, with exemplars. */
  async renderOpenMetrics(isOlder: boolean): Promise<MetricsText> {
    this.#loading ??= load();
    const own = await this.#loading;
    const families: Family<Step>[] = [];
    for (const { name } of own.getMetricsAsArray())
      families.push(await this.#step(() => libraryFamily(own, name)));
    families.push(...(await this.#step(() => this.#families(isOlder))));
    const parts = new TextParts();
    const samples = openMetricsLines(families, parts);
    while (await this.#step(() => hasMore(samples)));
    parts.add(OPEN_METRICS_END);
    return { contentType: OPEN_METRICS_TYPE, body: parts.end() };
  }

  #families(isOlder: boolean): Family<Step>[] {
    const families: Family<Step>[] = [];
    for (const source of this.#sources) families.push(...source.families());
    if (isOlder) families.push(...olderNames(families as Family[]));
    return families.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #step<T>(job: () => T | Promise<T>): Promise<T> {
    return this.#work.run(WORK_KEY, job);
  }
}

/** Writes one sample a step. */
function* written(families: readonly Family<Step>[], parts: TextParts): Iterator<void> {
  for (const family of families) {
    const text = new FamilyText(family);
    for (const step of family.values) {
      if (step !== undefined) parts.add(text.line(step));
      yield;
    }
    if (text.hasLines) parts.add('\n');
  }
}

async function libraryFamily(own: Registry, name: string): Promise<Family> {
  // Its types say that a value may lack labels; none does.
  return (await own.getSingleMetric(name)?.get()) as unknown as Family;
}

/** Writes the next samples; returns whether there are more. */
function hasMore(samples: Iterator<void>): boolean {
  for (let count = 0; count < STEP_SAMPLES; count++) if (samples.next().done === true) return false;
  return true;
}

/** Loads the library; returns the process's metrics. */
async function load(): Promise<Registry> {
  const client = (await import('prom-client')).default;
  const own = new client.Registry();
  client.collectDefaultMetrics({
    register: own,
    eventLoopMonitoringPrecision: MONITOR_INTERVAL_MS,
    gcDurationBuckets: GC_BUCKETS,
  });
  for (const { name } of own.getMetricsAsArray()) {
    if (LEFT_OUT.test(name)) own.removeSingleMetric(name);
  }
  await readOnce(own, 'process_max_fds', client);
  new client.Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [own],
    collect() {
      this.set(openDescriptors());
    },
  });
  return own;
}

/** The library would read a file of /proc at each scrape for a limit that does not change: a fifth of the page's time. */
async function readOnce(
  own: Registry,
  name: string,
  client: typeof import('prom-client'),
): Promise<void> {
  const { help, values } = (await own.getSingleMetric(name)?.get()) ?? {};
  const [first] = values ?? [];
  if (help === undefined || first === undefined) return;
  own.removeSingleMetric(name);
  new client.Gauge({ name, help, registers: [own] }).set(first.value);
}

/**
 * Linux 6.2 and later report the number as the folder's size; on older kernels all are listed, 1 µs each (proc(5),
 * `/proc/pid/fd`).
 */
function openDescriptors(): number {
  const { size } = statSync(OWN_DESCRIPTORS);
  // The listing itself opens one.
  return size > 0 ? size : readdirSync(OWN_DESCRIPTORS).length - 1;
}

const OWN_DESCRIPTORS = '/proc/self/fd';
