/**
 * Sizes Node's heap for the process. By default the old generation may grow beyond a container's limit, and the young
 * one to 48 MB: both would use memory meant for the cache. V8 accepts these flags only on the command line.
 */
import { setFlagsFromString } from 'node:v8';
import { LIMITS } from '../base/limits.ts';
import { parseSizeBytes } from '../base/text/size.ts';
import {
  CACHE_SHARE,
  cacheBudget,
  cgroupLimitBytes,
  NO_LIMIT_BYTES,
  PROCESS_BYTES,
  type ReadText,
  readText,
  SMALLEST_BYTES,
} from '../daemon/node/memory.ts';

const MIB = 2 ** 20;
/** Room without any cache: program, connections, and the maximum of queries in flight. */
const BASE_BYTES = 232 * MIB;
/** Entries are on the heap as they are; the garbage collector needs half as much again. */
const HEAP_PER_CACHE = 1.5;
/** Maximum share of a memory limit for the old generation. */
const MAX_SHARE = 0.5;
/**
 * Objects of queries in flight that survive are copied. 4 MiB instead of 2 make a miss 1.2 µs cheaper and the process
 * 4 MB bigger, too much for a container with little memory. Measured with the scenarios of `npm run bench`.
 */
const SEMI_SPACE_MIB = 4;
const SMALL_SEMI_SPACE_MIB = 2;
const SMALL_LIMIT_BYTES = 192 * MIB;
/**
 * Threads of V8 beside the one that answers, 4 by default. They collect garbage and compile. Where all share one processor,
 * a collection of 1 ms lasts as long as the kernel lets the others run first: 8 ms with one of them, 16 with four.
 */
const ONE_HELPER = '--v8-pool-size=1';
/** Flags that do not depend on memory. One that changes what V8 compiles makes it refuse Node's compiled code. */
const FIXED_FLAGS: readonly string[] = [ONE_HELPER];

/** For the launcher: `npm run docs` writes them to native/launcher/heap_sizes.h. */
export const LAUNCHER_SIZES: Readonly<Record<string, number | string>> = {
  BASE_BYTES,
  HEAP_PER_CACHE,
  MAX_SHARE,
  SEMI_SPACE_MIB,
  SMALL_SEMI_SPACE_MIB,
  SMALL_LIMIT_BYTES,
  DEFAULT_CACHE_BYTES: LIMITS.cacheBytes.default,
  SMALLEST_CACHE_BYTES: SMALLEST_BYTES,
  CACHE_SHARE,
  PROCESS_BYTES,
  NO_LIMIT_BYTES,
  FIXED_FLAGS: FIXED_FLAGS.map((flag) => `"${flag}", `).join(''),
};

/**
 * glibc gives each thread an arena, which never shrinks: 1 to 3 MB for threads that allocate little. One set by hand wins.
 */
const ONE_ARENA = { MALLOC_ARENA_MAX: '1' };

/**
 * What V8 must not do in an agent that serves.
 *
 * - The middle compiler (Maglev) keeps 20 MB of arenas and makes no hit cheaper, because hot code soon reaches the optimizing
 *   compiler.
 * - V8 keeps the phases of its collectors apart: it lets the young generation grow until the marks of the old one are set, and
 *   then copies all of it in one pause. With one processor for all threads and 30,000 new names a second these were 20 MB
 *   and 70 ms.
 */
const OFF_IN_SERVICE = ['maglev', 'separate-gc-phases'];

/**
 * Sets the flags of an agent that has started. On the command line, or any earlier, they would make V8 refuse all code that
 * was compiled without them: that of `agent/program.ts`, and that of Node's own modules.
 */
export function setRunningFlags(): void {
  for (const flag of OFF_IN_SERVICE) setFlagsFromString(`--no-${flag}`);
}

/** Sets the flags of a start again. V8 writes its flags along with compiled code, and takes it only with the same ones. */
export function setStartFlags(): void {
  for (const flag of OFF_IN_SERVICE) setFlagsFromString(`--${flag}`);
}

/** Whether a command line serves: no subcommand, `agent`, or flags that do more than print a text. */
export function isServing(argv: readonly string[]): boolean {
  const [first] = argv;
  if (first === undefined || first === 'agent') return true;
  return first.startsWith('-') && !/^--?(help|h|version|v|plugins)$/.test(first);
}

/** Flags for a cache of `cacheBytes` and an optional memory limit. */
export function heapFlags(cacheBytes: number, limitBytes: number | undefined): string[] {
  const wanted = BASE_BYTES + cacheBytes * HEAP_PER_CACHE;
  const limit = limitBytes ?? Number.POSITIVE_INFINITY;
  const oldBytes = Math.min(wanted, limit * MAX_SHARE);
  const semiMiB = limit <= SMALL_LIMIT_BYTES ? SMALL_SEMI_SPACE_MIB : SEMI_SPACE_MIB;
  return [
    `--max-old-space-size=${Math.floor(oldBytes / MIB)}`,
    `--max-semi-space-size=${semiMiB}`,
    ...FIXED_FLAGS,
  ];
}

/** Flags for a command line; empty if it does not serve, or if the user has set sizes in NODE_OPTIONS. */
export function flagsFor(argv: readonly string[], nodeOptions: string, read: ReadText): string[] {
  if (!isServing(argv) || setsSize(nodeOptions)) return [];
  const limitBytes = cgroupLimitBytes(read);
  return heapFlags(cacheBudget(memoryFlag(argv), limitBytes).bytes, limitBytes);
}

function setsSize(word: string): boolean {
  return word.includes('-space-size');
}

/**
 * Restarts this program, in this process, with the flags it should have. Returns if it needs none, or has them already: from
 * the user, or from the launcher of the image, which saves this second boot of Node.
 */
export function reexecWithHeapFlags(argv: readonly string[]): void {
  const { execArgv, execPath, env } = process;
  const script = process.argv[1];
  if (script === undefined || execArgv.some(setsSize)) return;
  const flags = flagsFor(argv, env.NODE_OPTIONS ?? '', readText);
  if (flags.length === 0) return;
  process.execve?.(execPath, [execPath, ...flags, ...execArgv, script, ...argv], {
    ...ONE_ARENA,
    ...env,
  });
}

/** Value of `-memory`; an invalid one is refused later, when flags are parsed. */
function memoryFlag(argv: readonly string[]): number | undefined {
  const at = argv.findIndex((word) => /^--?memory(=|$)/.test(word));
  const word = argv[at];
  if (word === undefined) return undefined;
  return parseSizeBytes(word.includes('=') ? word.replace(/^[^=]*=/, '') : (argv[at + 1] ?? ''));
}
