/** `nodens init`: becomes the init program, which is a bundle of its own. */
import { fileURLToPath } from 'node:url';
import { initHelp } from '../base/flags/help.ts';
import { parseFlags } from './options.ts';

/** Path of the bundle beside ours. */
const INIT_PROGRAM = fileURLToPath(new URL('../init/main.js', import.meta.url));

/** init keeps little and mostly sleeps. Its child, the agent of a drop-in, sets its own. */
const INIT_HEAP = ['--max-old-space-size=64', '--max-semi-space-size=1'];

/** Flags as init takes them, and behind `--` the command line of an agent as its child. */
export async function initCommand(argv: readonly string[]): Promise<number> {
  const end = argv.indexOf('--');
  const [own, child] = end === -1 ? [argv, []] : [argv.slice(0, end), argv.slice(end)];
  const { values, wantsHelp } = parseFlags(own, 'init');
  if (!wantsHelp) return becomeInit([...forInit(values), ...child]);
  process.stdout.write(`${initHelp()}\n`);
  return 0;
}

/** Flags of init among `values`, as it takes them. */
export function forInit(values: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
}

/** Replaces this process: signals and exit code are then init's own. */
export function becomeInit(argv: readonly string[]): never {
  const args = [process.execPath, ...INIT_HEAP, INIT_PROGRAM, ...argv];
  process.execve?.(process.execPath, args, process.env);
  throw new Error('unreachable: execve returned');
}
