/** Every command, in the order of the help. */
import { flagHelp } from '../flags/help.ts';
import type { CommandName } from '../flags/types.ts';
import { ADMIN_COMMAND_INFO } from './admin-commands.ts';
import { PROGRAM_COMMAND_INFO, SHELL_COMMAND_INFO } from './program-commands.ts';
import type { CommandInfo } from './types.ts';

/** The table. The drop-in, which has no name, is not in it. */
export const COMMANDS: readonly CommandInfo[] = [
  ...PROGRAM_COMMAND_INFO,
  ...ADMIN_COMMAND_INFO,
  ...SHELL_COMMAND_INFO,
];

/** What `nodens COMMAND --help` prints. */
export function commandHelp(command: CommandName): string {
  const info = COMMANDS.find((one) => one.command === command);
  if (info === undefined) return flagHelp(command);
  const { usage, summary, text, examples, exitCodes } = info;
  const flags = flagHelp(command);
  const width = Math.max(...examples.map(([line]) => line.length)) + 2;
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}${what}`);
  return (
    `nodens ${command}: ${summary}\n\nUsage: nodens ${command} [-flag value …] ${usage}`.trimEnd() +
    `\n\n${text}\n\nExamples:\n${lines.join('\n')}\n\n` +
    `${flags === '' ? '' : `${flags}\n\n`}${exitCodes}\n`
  );
}
