/** From a command line to the values of its flags, by commander and the table of flags. */
import { normalise } from './normalise.ts';
import { flagsOf } from './table.ts';
import type { CommandName, Flag } from './types.ts';

/** Flags as given, by name; switches as `true` or `false`. Absent ones are absent, defaults not yet applied. */
export type FlagValues = Readonly<Record<string, string | undefined>>;

export interface ParsedFlags {
  readonly values: FlagValues;
  readonly wantsHelp: boolean;
}

/** What is used of commander's `Command`: base imports no package, so the two programs bring one along. */
export interface OptionParser {
  exitOverride(): unknown;
  helpOption(flags: false): unknown;
  allowExcessArguments(allow: false): unknown;
  option(flags: string, description: string): unknown;
  parse(argv: readonly string[], options: { readonly from: 'user' }): unknown;
  opts(): Record<string, unknown>;
}

/** Reads the flags of `command` with a new `parser`. Throws UsageError. */
export function parseWith(
  parser: OptionParser,
  command: CommandName,
  argv: readonly string[],
): ParsedFlags {
  const flags = flagsOf(command);
  const { argv: normal, wantsHelp } = normalise(argv, flags);
  parser.exitOverride();
  parser.helpOption(false);
  parser.allowExcessArguments(false);
  for (const flag of flags) parser.option(`--${flag.name} <value>`, flag.help);
  parser.parse(normal, { from: 'user' });
  const options = parser.opts() as Record<string, string | undefined>;
  const values = Object.fromEntries(flags.map((flag) => [flag.name, options[camelCase(flag)]]));
  return { values, wantsHelp };
}

/** commander files `--health-port` under `healthPort`. */
function camelCase(flag: Flag): string {
  return flag.name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
