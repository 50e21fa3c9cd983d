/**
 * Divides memory between the cache (its configured size, else a share of the cgroup's memory limit), clients, and the
 * content of files.
 */
import { readFileSync } from 'node:fs';
import { LIMITS } from '../../base/limits.ts';

/** Memory of the process besides the cache: Node, the bundle, buffers, young generation. */
export const PROCESS_BYTES = 96 * 2 ** 20;
/** Cache's share of the limit: in floods, entries cost their bytes and the same again in heap slack. */
export const CACHE_SHARE = 0.25;
export const SMALLEST_BYTES = 4 * 2 ** 20;

/** cgroup v1 writes "no limit" as a number near 2^63. */
export const NO_LIMIT_BYTES = 2 ** 60;

/** As `readText`. */
export type ReadText = (path: string) => string | undefined;

/** Text of a file, or undefined if it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The smallest memory limit from this process up the cgroup tree, bytes; undefined if there is none. */
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

/** `bytes` is the limit of all entries together: keys, messages and overhead. */
export interface CacheBudget {
  readonly bytes: number;
  /** Reason for the size, for the banner. */
  readonly reason: string;
}

/** `askedBytes`: the flag's value or undefined. */
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

/** Heap of an idle process with an empty cache, including room for the garbage collector. */
const IDLE_HEAP_BYTES = 18 * 2 ** 20;
/** Used without a memory limit; off the heap. */
const FILE_BYTES = 256 * 2 ** 20;
/** Share of a memory limit for the content of files (hosts), off the heap: in 128 MiB a blocklist of 10 MB, old and new. */
const FILE_SHARE = 1 / 5;
/** Share of a memory limit for clients, on the heap and off it. */
const CLIENT_SHARE = 0.16;

/** Limits for all clients together, and for the content of all files together. */
export interface LedgerBudget {
  readonly clientBudgetBytes: number;
  readonly fileBudgetBytes: number;
}

/** Memory for clients and files beside a full cache. */
export function ledgerBudget(
  heapBytes: number,
  cacheBytes: number,
  limitBytes: number | undefined,
): LedgerBudget {
  const heapRoom = Math.max(SMALLEST_BYTES, heapBytes - IDLE_HEAP_BYTES - cacheBytes);
  const clientBytes =
    limitBytes === undefined ? heapRoom : Math.min(heapRoom, limitBytes * CLIENT_SHARE);
  return {
    clientBudgetBytes: Math.floor(clientBytes),
    fileBudgetBytes: fileBudgetBytes(limitBytes),
  };
}

/** Memory for the content of files. */
export function fileBudgetBytes(limitBytes: number | undefined): number {
  return limitBytes === undefined ? FILE_BYTES : Math.floor(limitBytes * FILE_SHARE);
}

/** Shares of the file descriptors for TCP clients, and for those that wait for a turn: the rest is for upstreams and files. */
const DESCRIPTOR_SHARE = 0.5;
const WAITING_SHARE = 0.25;

/** Maximum TCP connections of clients, by the limit of open files. */
export function tcpConnectionBound(read: ReadText): number {
  const { default: most, min } = LIMITS.tcpConnections;
  return Math.max(min, Math.min(most, Math.floor(maxOpenFiles(read) * DESCRIPTOR_SHARE)));
}

/** Maximum accepted connections that wait for a turn, by the same. */
export function tcpWaitingBound(read: ReadText): number {
  const { default: most, min } = LIMITS.tcpWaiting;
  return Math.max(min, Math.min(most, Math.floor(maxOpenFiles(read) * WAITING_SHARE)));
}

/** Node raises the soft limit to the hard one. */
function maxOpenFiles(read: ReadText): number {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(read('/proc/self/limits') ?? '')?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}
