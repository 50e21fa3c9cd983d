/** `nodens init`: becomes the init program, which is a separate bundle. */
import { fileURLToPath } from 'node:url';
import { commandHelp } from '../base/commands/table.ts';
import { parseFlags } from './options.ts';

/** Path of the bundle next to this one. */
const INIT_PROGRAM = fileURLToPath(new URL('../init/main.js', import.meta.url));

/**
 * init sleeps: no flag of these makes it slower than its programs and the kernel are, and each one that is named with its
 * gain takes memory away. Without compiled code there is also none to write to. Its child, the agent of a drop-in, has
 * flags of its own. Measured: docs/decisions/034-memory-of-a-sleeper.md.
 */
const INIT_FLAGS = [
  ...['--max-old-space-size=64', '--max-semi-space-size=1'],
  ...['--jitless', '--optimize-for-size', '--bytecode-old-age=1', '--v8-pool-size=1'],
  // For init/node/garbage.ts.
  '--expose-gc',
];

/** Flags of init, and after `--` the command line of an agent to run as its child. */
export async function initCommand(argv: readonly string[]): Promise<number> {
  const end = argv.indexOf('--');
  const [own, child] = end === -1 ? [argv, []] : [argv.slice(0, end), argv.slice(end)];
  const { values, wantsHelp } = parseFlags(own, 'init');
  if (!wantsHelp) return becomeInit([...forInit(values), ...child]);
  process.stdout.write(commandHelp('init'));
  return 0;
}

/** The flags in `values` that init has, in its form. */
export function forInit(values: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
}

/** Replaces this process, so that signals and exit code are init's own. */
export function becomeInit(argv: readonly string[]): never {
  const args = [process.execPath, ...INIT_FLAGS, INIT_PROGRAM, ...argv];
  process.execve?.(process.execPath, args, process.env);
  throw new Error('unreachable: execve returned');
}
