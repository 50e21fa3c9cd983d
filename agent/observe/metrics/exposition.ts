/**
 * Series as the text that Prometheus scrapes, written by prom-client, which also knows the process (process_*,
 * nodejs_*). A page is made in small steps: however many series there are, DNS does not wait for it.
 */
import { readdirSync, statSync } from 'node:fs';
import type { Metric, Registry } from 'prom-client';
import type { PacedWork } from '../../base/paced-work.ts';
import type { MetricsText } from '../../query/services/metrics.ts';
import { TextParts } from '../admin/text-parts.ts';
import { olderNames } from './legacy-names.ts';
import type { Family, Sample, Source, Step } from './samples.ts';

/**
 * What is left out of the library's process metrics: lists of handles, which are costly to make and of names that no
 * linter accepts, the event loop monitor, which wakes the process 100 times a second
 * (`coredns_health_request_duration_seconds` tells the same), and the count of descriptors, which is counted below.
 */
const LEFT_OUT = /^nodejs_(active|eventloop)_|^process_open_fds$/;
/** The monitor cannot be switched off, but it can be made to sleep. */
const MONITOR_INTERVAL_MS = 3_600_000;
/** Samples written without a look at the clock: about 0.1 ms, and 0.6 before the code is compiled. */
const STEP_SAMPLES = 16;
/** Whose turn it is (`PacedWork`) when a page is written. No client has such a key. */
const WORK_KEY = 'exposition';

type PromClient = typeof import('prom-client');

export class Exposition {
  readonly #sources: readonly Source[];
  readonly #work: PacedWork;
  #loading: Promise<Loaded> | undefined;

  constructor(sources: readonly Source[], work: PacedWork) {
    this.#sources = sources;
    this.#work = work;
  }

  /** Loads prom-client, which takes long enough for queries to be late. To be called before there are any. */
  async load(): Promise<void> {
    this.#loading ??= load();
    await this.#loading;
  }

  /**
   * Renders all sources in the order of names, behind the process's metrics, and with `isOlder` what they count under
   * older names as well.
   */
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

/** Takes the next few steps; whether they were the last. */
function take(steps: Iterator<Step>, samples: Sample[]): boolean {
  for (let count = 0; count < STEP_SAMPLES; count++) {
    const step = steps.next();
    if (step.done === true) return true;
    if (step.value !== undefined) samples.push(step.value);
  }
  return false;
}

/** Writes one family, some samples at a time. */
class FamilyWriter {
  readonly #registry: Registry;
  readonly #name: string;
  #samples: readonly Sample[] = [];
  hasWritten = false;

  constructor({ name, help, type }: Family<Step>, client: PromClient) {
    this.#name = name;
    this.#registry = new client.Registry();
    // A registry asks a metric for its name and for `get()`, and nothing else.
    const get = () => Promise.resolve({ name, help, type, values: this.#samples });
    this.#registry.registerMetric({ name, get } as unknown as Metric);
  }

  /** Lines with a line end each; the first time with those that say what the family is. */
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
 * Linux 6.2 and later tell the number as the folder's size; on an older one all are listed, 1 µs each (proc(5),
 * `/proc/pid/fd`).
 */
function openDescriptors(): number {
  const { size } = statSync(OWN_DESCRIPTORS);
  // Listing them opens one.
  return size > 0 ? size : readdirSync(OWN_DESCRIPTORS).length - 1;
}

const OWN_DESCRIPTORS = '/proc/self/fd';
