/**
 * What memory is for: how many octets the cache may hold (what somebody said, else a share of the cgroup's memory limit),
 * and how many queries may be under way in what is left of the heap.
 */
import { LIMITS } from '../base/limits.ts';

/** What the process needs besides the cache: Node, the bundle, buffers, young generation. */
const PROCESS_BYTES = 96 * 2 ** 20;
/** Share of the limit that the cache gets: entries cost their bytes and as much again in heap slack during floods. */
const CACHE_SHARE = 0.25;
const SMALLEST_BYTES = 4 * 2 ** 20;

/** cgroup v1 writes "no limit" as a number near 2^63. */
const NO_LIMIT_BYTES = 2 ** 60;

/** Reads a file's text, or undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

/** The smallest memory limit on this process's way up the cgroup tree, octets; undefined where there is none. */
export function cgroupLimitBytes(read: ReadText): number | undefined {
  const limits = (read('/proc/self/cgroup') ?? '')
    .split('\n')
    .flatMap(limitFiles)
    .map((path) => Number((read(path) ?? 'max').trim()))
    .filter((bytes) => Number.isFinite(bytes) && bytes > 0 && bytes < NO_LIMIT_BYTES);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** Limit files for one line of /proc/self/cgroup (`0::/path` is v2, `9:memory:/path` v1), leaf first. */
function limitFiles(line: string): string[] {
  const [, controllers, path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
  if (controllers === '') {
    return upwards(path).map((dir) => `/sys/fs/cgroup${dir}/memory.max`);
  }
  if (controllers?.split(',').includes('memory') !== true) return [];
  return upwards(path).map((dir) => `/sys/fs/cgroup/memory${dir}/memory.limit_in_bytes`);
}

/** `/a/b` → `/a/b`, `/a`, ``. In a container the path may be the host's; the root is then the container's own. */
function upwards(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    parts
      .slice(0, parts.length - i)
      .map((part) => `/${part}`)
      .join(''),
  );
}

export interface CacheBudget {
  readonly bytes: number;
  /** Why that many, for the banner. */
  readonly reason: string;
}

/** `askedBytes`: the flag's or undefined. */
export function cacheBudget(
  askedBytes: number | undefined,
  limitBytes: number | undefined,
): CacheBudget {
  if (askedBytes !== undefined) return { bytes: askedBytes, reason: '-memory' };
  if (limitBytes === undefined) {
    return { bytes: LIMITS.cacheBytes.default, reason: 'default, no memory limit is set' };
  }
  const share = Math.min(limitBytes * CACHE_SHARE, limitBytes - PROCESS_BYTES);
  return {
    bytes: Math.max(SMALLEST_BYTES, Math.floor(share)),
    reason: `from the memory limit of ${Math.floor(limitBytes / 2 ** 20)} MiB`,
  };
}

/** Heap of a process that has nothing cached and nothing under way, with room for the collector. */
const IDLE_HEAP_BYTES = 18 * 2 ** 20;
/** On the heap for each query that waits for an upstream: itself, its promises, its place in maps, its end as garbage. */
const IN_FLIGHT_BYTES = 12 * 1_024;

/**
 * Queries that may wait for an upstream, with a heap of `heapBytes` at most and a full cache of `cacheBytes`: one more
 * would not be slow but the end of the process.
 */
export function inFlightBound(heapBytes: number, cacheBytes: number): number {
  const { default: most, min } = LIMITS.inFlightQueries;
  // Entries are all on the heap, messages included.
  const left = heapBytes - IDLE_HEAP_BYTES - cacheBytes;
  return Math.min(most, Math.max(min, Math.floor(left / IN_FLIGHT_BYTES)));
}

/** Clients that wait for somebody else's query: each costs a part of what the query itself does. */
const WAITING_PER_IN_FLIGHT = 3;

/** Clients that may wait for queries of others where `inFlight` queries may be under way. */
export function waitingBound(inFlight: number): number {
  return Math.min(LIMITS.inFlightQueries.default, inFlight * WAITING_PER_IN_FLIGHT);
}

/** Without a memory limit, off the heap. */
const FILE_BYTES = 256 * 2 ** 20;
/** Share of a memory limit that the content of files (hosts) may take, off the heap. */
const FILE_SHARE = 1 / 6;
/** Share of a memory limit that clients may make the process hold, on the heap and off it. */
const CLIENT_SHARE = 0.16;

export interface LedgerBudget {
  readonly clientBudgetBytes: number;
  readonly fileBudgetBytes: number;
}

/** What clients and files may make the process hold beside a full cache. */
export function ledgerBudget(
  heapBytes: number,
  cacheBytes: number,
  limitBytes: number | undefined,
): LedgerBudget {
  const heapRoom = Math.max(SMALLEST_BYTES, heapBytes - IDLE_HEAP_BYTES - cacheBytes);
  if (limitBytes === undefined) return { clientBudgetBytes: heapRoom, fileBudgetBytes: FILE_BYTES };
  return {
    clientBudgetBytes: Math.floor(Math.min(heapRoom, limitBytes * CLIENT_SHARE)),
    fileBudgetBytes: Math.floor(limitBytes * FILE_SHARE),
  };
}
