/** The command line of a command that asks the agent: words and flags in any order. */
import { commandHelp } from '../../base/commands/table.ts';
import { UsageError } from '../../base/errors.ts';
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

/** Exit code of a command that reached no agent. */
export const UNREACHABLE = 3;

/** Runs a command: prints its help, or parses its arguments. Resolves to the exit code. Throws UsageError. */
export async function runCommand(
  argv: readonly string[],
  command: AdminCommand,
  run: (args: Arguments) => Promise<number>,
): Promise<number> {
  const { words, flags } = split(argv, command);
  const { values, wantsHelp } = parseFlags(flags, command);
  if (wantsHelp) {
    process.stdout.write(commandHelp(command));
    return 0;
  }
  const isJson = values.json === 'true';
  try {
    return await run({ words, values, isJson, paths: adminSockets(values) });
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    process.stderr.write(`nodens ${command}: ${error.message}\n`);
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
