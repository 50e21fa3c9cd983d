/**
 * Series as text for Prometheus, written by prom-client, which also provides process metrics (process_*, nodejs_*). A
 * page is rendered in small steps, so that any number of series does not delay DNS.
 */
import { readdirSync, statSync } from 'node:fs';
import type { Metric, Registry } from 'prom-client';
import type { PacedWork } from '../../base/paced-work.ts';
import type { MetricsText } from '../../query/services/metrics.ts';
import { TextParts } from '../admin/text-parts.ts';
import { olderNames } from './legacy-names.ts';
import type { Family, Sample, Source, Step } from './samples.ts';

/**
 * Excluded process metrics of the library: lists of handles, which are slow and have names that linters refuse; the
 * event loop monitor, which wakes the process 100 times a second (`coredns_health_request_duration_seconds` measures
 * the same); the spaces of V8's heap, 39 series for those who work on V8; and the number of descriptors, which is
 * computed below.
 */
const LEFT_OUT = /^nodejs_(active|eventloop|heap_space)_|^process_open_fds$/;
/** The monitor cannot be disabled, but its interval can be long. */
const MONITOR_INTERVAL_MS = 3_600_000;
/** Samples written between two readings of the clock: about 0.1 ms, and 0.6 before the code is compiled. */
const STEP_SAMPLES = 16;
/** Key of rendering in `PacedWork`. No client has such a key. */
const WORK_KEY = 'exposition';

type PromClient = typeof import('prom-client');

/** The text of /metrics from all sources. Every step of a page is a job of `PacedWork`. */
export class Exposition {
  readonly #sources: readonly Source[];
  readonly #work: PacedWork;
  #loading: Promise<Loaded> | undefined;

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
    const { client, own } = await this.#loading;
    const parts = new TextParts();
    for (const { name } of own.getMetricsAsArray()) {
      const text = await this.#step(() => own.getSingleMetricAsString(name));
      parts.add(`${text}\n\n`);
    }
    for (const family of await this.#step(() => this.#families(isOlder)))
      await this.#write(family, client, parts);
    return { contentType: own.contentType, body: parts.end() };
  }

  #families(isOlder: boolean): Family<Step>[] {
    const families: Family<Step>[] = [];
    for (const source of this.#sources) families.push(...source.families());
    if (isOlder) families.push(...olderNames(families as Family[]));
    return families.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async #write(family: Family<Step>, client: PromClient, parts: TextParts): Promise<void> {
    const steps = family.values[Symbol.iterator]();
    const writer = new FamilyWriter(family, client);
    let hasMore = true;
    while (hasMore) {
      hasMore = await this.#step(async () => {
        const samples: Sample[] = [];
        const isDone = take(steps, samples);
        if (samples.length > 0) parts.add(await writer.text(samples));
        return !isDone;
      });
    }
    if (writer.hasWritten) parts.add('\n');
  }

  #step<T>(job: () => T | Promise<T>): Promise<T> {
    return this.#work.run(WORK_KEY, job);
  }
}

/** Runs the next few steps; returns whether they were the last. */
function take(steps: Iterator<Step>, samples: Sample[]): boolean {
  for (let count = 0; count < STEP_SAMPLES; count++) {
    const step = steps.next();
    if (step.done === true) return true;
    if (step.value !== undefined) samples.push(step.value);
  }
  return false;
}

/** Writes one family, a few samples at a time. */
class FamilyWriter {
  readonly #registry: Registry;
  readonly #name: string;
  #samples: readonly Sample[] = [];
  hasWritten = false;

  constructor({ name, help, type }: Family<Step>, client: PromClient) {
    this.#name = name;
    this.#registry = new client.Registry();
    // A registry only uses a metric's name and `get()`.
    const get = () => Promise.resolve({ name, help, type, values: this.#samples });
    this.#registry.registerMetric({ name, get } as unknown as Metric);
  }

  /** Lines with line feeds; the first time with HELP and TYPE. */
  async text(samples: readonly Sample[]): Promise<string> {
    this.#samples = samples;
    const text = await this.#registry.getSingleMetricAsString(this.#name);
    const isFirst = !this.hasWritten;
    this.hasWritten = true;
    return `${isFirst ? text : withoutHead(text)}\n`;
  }
}

/** Without the first two lines, HELP and TYPE. */
function withoutHead(text: string): string {
  return text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1);
}

interface Loaded {
  readonly client: PromClient;
  /** The process's metrics. */
  readonly own: Registry;
}

async function load(): Promise<Loaded> {
  const client = (await import('prom-client')).default;
  const own = new client.Registry();
  client.collectDefaultMetrics({
    register: own,
    eventLoopMonitoringPrecision: MONITOR_INTERVAL_MS,
  });
  for (const { name } of own.getMetricsAsArray()) {
    if (LEFT_OUT.test(name)) own.removeSingleMetric(name);
  }
  new client.Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [own],
    collect() {
      this.set(openDescriptors());
    },
  });
  return { client, own };
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
