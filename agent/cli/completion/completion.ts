/** `nodens completion SHELL`: prints a script for the shell. */
import { commandHelp } from '../../base/commands/table.ts';
import { UsageError } from '../../base/errors.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { zshScript } from './zsh.ts';

const SHELLS: Readonly<Record<string, () => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Resolves to the exit code. Throws UsageError for another shell. */
export function completionCommand(argv: readonly string[]): Promise<number> {
  const [shell = '', ...more] = argv;
  if (/^--?h(elp)?$/.test(shell)) {
    process.stdout.write(commandHelp('completion'));
    return Promise.resolve(0);
  }
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (script === undefined || more.length > 0)
    throw new UsageError(`completion takes one of: ${Object.keys(SHELLS).join(', ')}`);
  return new Promise((resolve) => {
    process.stdout.write(script(), () => resolve(0));
  });
}
