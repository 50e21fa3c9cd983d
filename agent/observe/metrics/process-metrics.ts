/**
 * Metrics of the process (process_*, nodejs_*), kept by prom-client. Those that its own collectors read with much work
 * are set here, in gauges of the library with the same names: a scrape must not delay DNS.
 */
import { openSync, readdirSync, readSync, statSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import type { Gauge, Registry } from 'prom-client';
import type { Family } from './samples.ts';

/**
 * Excluded metrics of the library: lists of handles, which are slow and have names that linters refuse; the event loop
 * monitor, which wakes the process 100 times a second (`coredns_health_request_duration_seconds` measures the same); and
 * the spaces of V8's heap, 39 series for those who work on V8.
 */
const LEFT_OUT = /^nodejs_(active|eventloop|heap_space)_/;
/** The monitor cannot be disabled, but its interval can be long. */
const MONITOR_INTERVAL_MS = 3_600_000;
/** Seconds: whether clients notice a collection. */
const GC_BUCKETS = [0.01];
const OWN_DESCRIPTORS = '/proc/self/fd';

type Library = typeof import('prom-client');
/** Sets the gauge with that name. */
type SetGauge = (name: string, value: number) => void;

/** One for the process. */
export interface ProcessMetrics {
  /** Of Prometheus's text. */
  readonly contentType: string;
  /** Every metric with its values of now. */
  families(): Promise<readonly Family[]>;
}

/** Loads the library. */
export async function loadProcessMetrics(): Promise<ProcessMetrics> {
  const client = (await import('prom-client')).default;
  const own = new client.Registry();
  client.collectDefaultMetrics({
    register: own,
    eventLoopMonitoringPrecision: MONITOR_INTERVAL_MS,
    gcDurationBuckets: GC_BUCKETS,
  });
  for (const { name } of own.getMetricsAsArray())
    if (LEFT_OUT.test(name)) own.removeSingleMetric(name);
  const gauges = new Map<string, Gauge>();
  for (const name of READ_HERE) gauges.set(name, await replaced(client, own, name));
  const memory = new MemoryFile();
  const { contentType } = own;
  const names = own.getMetricsAsArray().map(({ name }) => name);
  const families = (): Promise<Family[]> => {
    readAll(memory, (name, value) => gauges.get(name)?.set(value));
    return Promise.all(names.map((name) => familyOf(own, name)));
  };
  return { contentType, families };
}

/** A gauge for `name` in place of the library's own, with the value that that one has now. */
async function replaced(client: Library, own: Registry, name: string): Promise<Gauge> {
  const { help = name, values = [] } = (await own.getSingleMetric(name)?.get()) ?? {};
  own.removeSingleMetric(name);
  const gauge = new client.Gauge({ name, help, registers: [own] });
  const [first] = values;
  if (first !== undefined) gauge.set(first.value);
  return gauge;
}

async function familyOf(own: Registry, name: string): Promise<Family> {
  // Its types say that a value may lack labels; none does.
  return (await own.getSingleMetric(name)?.get()) as unknown as Family;
}

/** In the order of the page. The limit of descriptors never changes: it keeps its first value. */
const READ_HERE = [
  'process_resident_memory_bytes',
  'process_virtual_memory_bytes',
  'process_heap_bytes',
  'process_open_fds',
  'process_max_fds',
  'nodejs_heap_size_total_bytes',
  'nodejs_heap_size_used_bytes',
  'nodejs_external_memory_bytes',
];

/** `/proc/self/statm`, kept open: to open a file costs more than to read this one. */
class MemoryFile {
  readonly #file = openSync('/proc/self/statm', 'r');
  readonly #bytes = Buffer.alloc(128);
  readonly #pageBytes = pageBytes(this.#words());

  /** Size, resident and data of the process, bytes (proc(5)). */
  read(): { readonly size: number; readonly resident: number; readonly data: number } {
    const [size, resident, , , , data] = this.#words();
    const bytes = (pages = Number.NaN): number => pages * this.#pageBytes;
    return { size: bytes(size), resident: bytes(resident), data: bytes(data) };
  }

  #words(): number[] {
    const length = readSync(this.#file, this.#bytes, 0, this.#bytes.length, 0);
    return this.#bytes.latin1Slice(0, length).split(' ').map(Number);
  }
}

/** Node does not report it, and kernels for arm64 have other ones than 4 KiB. */
function pageBytes([, resident = 1]: readonly number[]): number {
  return 2 ** Math.round(Math.log2(process.memoryUsage.rss() / resident));
}

function readAll(memory: MemoryFile, set: SetGauge): void {
  const { size, resident, data } = memory.read();
  set('process_resident_memory_bytes', resident);
  set('process_virtual_memory_bytes', size);
  set('process_heap_bytes', data);
  set('process_open_fds', openDescriptors());
  // `process.memoryUsage` has the same figures, and reads a file of /proc for another one.
  const heap = getHeapStatistics();
  set('nodejs_heap_size_total_bytes', heap.total_heap_size);
  set('nodejs_heap_size_used_bytes', heap.used_heap_size);
  set('nodejs_external_memory_bytes', heap.external_memory);
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
