/** `nodens init`: becomes the init program, which is a bundle of its own. */
import { fileURLToPath } from 'node:url';
import { INIT_MODES } from './flags.ts';
import { flagHelp } from './help.ts';
import { parseFlags } from './options.ts';

/** Path of the bundle beside ours. */
const INIT_PROGRAM = fileURLToPath(new URL('../init/main.js', import.meta.url));

/** init keeps little and mostly sleeps. Its child, the agent of a drop-in, sets its own. */
const INIT_HEAP = ['--max-old-space-size=64', '--max-semi-space-size=1'];

const HELP = `nodens init: addresses and interception rules

  -once        set up and exit
  -cleanup     take everything off the node and exit
  -observe     say what would be done, change nothing
${flagHelp('init')}`;

export async function initCommand(argv: readonly string[]): Promise<number> {
  const isMode = (word: string): boolean =>
    INIT_MODES.some((mode) => word === `-${mode}` || word === `--${mode}`);
  const modes = argv.filter(isMode).map((word) => `--${word.replace(/^-+/, '')}`);
  const { values, wantsHelp } = parseFlags(
    argv.filter((word) => !isMode(word)),
    ['init'],
  );
  if (wantsHelp) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  return becomeInit([...modes, ...forInit(values)]);
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
