/**
 * Node's heap, sized for what the process is to keep. Left alone, the old generation may take what a container's limit
 * does not have, and the young one 48 MB: both would spend what is promised to the cache. V8 takes these flags only on
 * the command line.
 */
import { setFlagsFromString } from 'node:v8';
import { parseSizeBytes } from '../base/text/size.ts';
import { cacheBudget, cgroupLimitBytes, readText } from '../daemon/node/memory.ts';

const MIB = 2 ** 20;
/** Room for what there is without any cache: program, connections, and as many queries under way as may be. */
const BASE_BYTES = 232 * MIB;
/** Entries are on the heap as they are; the collector needs half as much again. */
const HEAP_PER_CACHE = 1.5;
/** Share of a memory limit that the old generation may take at most. */
const MAX_SHARE = 0.5;
/**
 * What queries under way outgrow is copied: 4 MiB make a miss 1.2 µs cheaper than 2 and the process 4 MB bigger, which a
 * container with little memory has not got. Measured with the scenarios of `npm run bench`.
 */
const SEMI_SPACE_MIB = 4;
const SMALL_SEMI_SPACE_MIB = 2;
const SMALL_LIMIT_BYTES = 192 * MIB;

/**
 * The middle compiler (Maglev) leaves 20 MB of arenas behind and makes no hit cheaper: what is hot is soon compiled by the
 * last one.
 */
const NO_MAGLEV = '--no-maglev';

/** What makes a command line one that serves: no word, `agent`, or flags that ask for more than a line of text. */
export function isServing(argv: readonly string[]): boolean {
  const [first] = argv;
  if (first === undefined || first === 'agent') return true;
  return first.startsWith('-') && !/^--?(help|h|version|v|plugins)$/.test(first);
}

/** Flags for a cache of `cacheBytes` under a memory limit, if there is one. */
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
 * Starts this program anew, in this process, with the flags it should have; returns where it has them, where it does not
 * serve, or where somebody has set the size of the heap by hand.
 */
export function reexecWithHeapFlags(argv: readonly string[]): void {
  const { execArgv, execPath, env } = process;
  const script = process.argv[1];
  if (!isServing(argv) || script === undefined) return;
  if ([...execArgv, env.NODE_OPTIONS ?? ''].some((word) => word.includes('-space-size'))) {
    // The sizes are settled; for this it is not too late.
    setFlagsFromString(NO_MAGLEV);
    return;
  }
  const limitBytes = cgroupLimitBytes(readText);
  const flags = heapFlags(cacheBudget(memoryFlag(argv), limitBytes).bytes, limitBytes);
  process.execve?.(execPath, [execPath, ...flags, ...execArgv, script, ...argv], env);
}

/** Value of `-memory`; a wrong one is refused later, where flags are read. */
function memoryFlag(argv: readonly string[]): number | undefined {
  const at = argv.findIndex((word) => /^--?memory(=|$)/.test(word));
  const word = argv[at];
  if (word === undefined) return undefined;
  return parseSizeBytes(word.includes('=') ? word.replace(/^[^=]*=/, '') : (argv[at + 1] ?? ''));
}
