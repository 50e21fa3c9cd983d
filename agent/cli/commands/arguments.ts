/** The command line of a command that asks the agent: words and flags in any order. */
import { UsageError } from '../../base/errors.ts';
import { flagHelp } from '../../base/flags/help.ts';
import { flagsOf } from '../../base/flags/table.ts';
import type { AdminCommand } from '../../base/flags/types.ts';
import { typeNumber } from '../../dns/iana.ts';
import { adminSockets, type FlagValues, parseFlags } from '../options.ts';
import { UnreachableError } from './asking.ts';

/** A parsed command line. */
export interface Arguments {
  readonly words: readonly string[];
  readonly values: FlagValues;
  readonly isJson: boolean;
  /** Paths of the admin socket, best first. */
  readonly paths: readonly string[];
}

/** What `--help` prints besides the flags. */
export interface CommandHelp {
  readonly command: AdminCommand;
  readonly usage: string;
  readonly text: string;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly exitCodes: string;
}

/** Exit code of a command that reached no agent. */
export const UNREACHABLE = 3;

/** Runs a command: prints its help, or parses its arguments. Resolves to the exit code. Throws UsageError. */
export async function runCommand(
  argv: readonly string[],
  help: CommandHelp,
  run: (args: Arguments) => Promise<number>,
): Promise<number> {
  const { words, flags } = split(argv, help.command);
  const { values, wantsHelp } = parseFlags(flags, help.command);
  if (wantsHelp) {
    process.stdout.write(helpText(help));
    return 0;
  }
  const isJson = values.json === 'true';
  try {
    return await run({ words, values, isJson, paths: adminSockets(values) });
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    process.stderr.write(`nodens ${help.command}: ${error.message}\n`);
    return UNREACHABLE;
  }
}

function split(
  argv: readonly string[],
  command: AdminCommand,
): { readonly words: string[]; readonly flags: string[] } {
  const valued = new Set(
    flagsOf(command)
      .filter(({ value }) => value !== undefined)
      .flatMap(({ name, aliases = [] }) => [name, ...aliases]),
  );
  const words: string[] = [];
  const flags: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '--') {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith('-')) {
      words.push(word);
      continue;
    }
    flags.push(word);
    const next = argv[at + 1];
    if (valued.has(word.replace(/^--?/, '')) && next !== undefined) {
      flags.push(next);
      at++;
    }
  }
  return { words, flags };
}

/** The whole help text of a command. */
export function helpText({ command, usage, text, examples, exitCodes }: CommandHelp): string {
  const width = Math.max(...examples.map(([line]) => line.length)) + 2;
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}${what}`);
  return (
    `${`nodens ${command} ${usage}`.trimEnd()}\n\n${text}\n\nExamples:\n${lines.join('\n')}\n\n` +
    `${flagHelp(command)}\n\n${exitCodes}\n`
  );
}

/** Exit codes that all these commands share. */
export const COMMON_EXIT_CODES = '2 wrong usage, 3 no agent answers on the admin socket.';

/** Number of a type given by name (`AAAA`, `TYPE65`) or number; undefined if no word is given. Throws UsageError. */
export function typeArgument(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  const type = /^\d{1,5}$/.test(word) ? Number(word) : typeNumber(word.toUpperCase());
  if (type === undefined || type > 0xffff) throw new UsageError(`"${word}" is no record type`);
  return type;
}

/** Refuses more than `max` words. Throws UsageError. */
export function maxWords(words: readonly string[], max: number): void {
  const extra = words[max];
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`);
}
