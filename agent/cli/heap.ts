/**
 * Sizes Node's heap for the process. By default the old generation may grow beyond a container's limit, and the young
 * one to 48 MB: both would use memory meant for the cache. V8 accepts these flags only on the command line.
 */
import { setFlagsFromString } from 'node:v8';
import { parseSizeBytes } from '../base/text/size.ts';
import { cacheBudget, cgroupLimitBytes, readText } from '../daemon/node/memory.ts';

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
 * The middle compiler (Maglev) keeps 20 MB of arenas and makes no hit cheaper: hot code soon reaches the optimizing
 * compiler.
 */
const NO_MAGLEV = '--no-maglev';

/**
 * glibc gives each thread an arena, which never shrinks: 1 to 3 MB for threads that allocate little. One set by hand wins.
 */
const ONE_ARENA = { MALLOC_ARENA_MAX: '1' };

/**
 * Lets the young generation be collected while V8 marks the old one. V8 keeps these apart: it lets the young one grow until
 * the marks are set, and then copies all of it in one pause. With one processor for all threads and 30,000 new names a
 * second these were 20 MB and 70 ms. Called when the agent has started: on the command line this flag would make V8 refuse
 * the compiled code of Node's own modules.
 */
export function collectYoungWhileMarking(): void {
  setFlagsFromString('--no-separate-gc-phases');
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
    NO_MAGLEV,
  ];
}

/**
 * Restarts this program, in this process, with the flags it should have. Returns if it has them already, if it does not
 * serve, or if the user has set the heap's size.
 */
export function reexecWithHeapFlags(argv: readonly string[]): void {
  const { execArgv, execPath, env } = process;
  const script = process.argv[1];
  if (!isServing(argv) || script === undefined) return;
  if ([...execArgv, env.NODE_OPTIONS ?? ''].some((word) => word.includes('-space-size'))) {
    // The sizes are already set; this flag can still be changed.
    setFlagsFromString(NO_MAGLEV);
    return;
  }
  const limitBytes = cgroupLimitBytes(readText);
  const flags = heapFlags(cacheBudget(memoryFlag(argv), limitBytes).bytes, limitBytes);
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
