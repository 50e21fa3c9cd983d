/** Parses a command line with commander and the table of flags. */
import { normalise } from './normalise.ts';
import { flagsOf } from './table.ts';
import type { CommandName, Flag } from './types.ts';

/**
 * Flags as given, by name; switches as `true` or `false`. A flag that is not given is absent: defaults are applied
 * later.
 */
export type FlagValues = Readonly<Record<string, string | undefined>>;

/** A parsed command line. With `wantsHelp` the command prints its help and does nothing else. */
export interface ParsedFlags {
  readonly values: FlagValues;
  readonly wantsHelp: boolean;
}

/** The methods of commander's `Command` that are used. base imports no package, so both programs pass an instance. */
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

/**
 * The same without a library, for a program that stays in memory: `normalise` leaves nothing to do but to take names and values
 * apart. Throws UsageError.
 */
export function parsePlain(command: CommandName, argv: readonly string[]): ParsedFlags {
  const { argv: normal, wantsHelp } = normalise(argv, flagsOf(command));
  const pairs = normal.map((word) => /^--([^=]+)=([\s\S]*)$/.exec(word) as RegExpExecArray);
  return { values: Object.fromEntries(pairs.map(([, name, value]) => [name, value])), wantsHelp };
}

/** commander stores `--health-port` as `healthPort`. */
function camelCase(flag: Flag): string {
  return flag.name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
