/** What can be completed, from the tables of commands and flags: the shells' scripts only print it. */
import { COMMANDS } from '../../base/commands/table.ts';
import { flagsOf } from '../../base/flags/table.ts';
import type { CommandName, Flag } from '../../base/flags/types.ts';

/** One flag of one command; names are without dashes. */
export interface FlagWords {
  readonly names: readonly string[];
  readonly help: string;
  /** Undefined for a switch. */
  readonly value: string | undefined;
  /** Whether the value is a path. */
  readonly isFile: boolean;
}

/** One command. */
export interface CommandWords {
  readonly command: CommandName;
  readonly summary: string;
  /** Words that may follow. */
  readonly actions: readonly string[];
  /** Whether files may follow. */
  readonly takesFiles: boolean;
  readonly flags: readonly FlagWords[];
}

const PATHS = ['FILE', 'DIR', 'PATH'];

/** All commands, in the order of the help. */
export function commandWords(): readonly CommandWords[] {
  return COMMANDS.map(({ command, summary, actions = [], usage }) => ({
    ...{ command, summary, actions, takesFiles: usage.includes('FILE') },
    flags: flagWords(command),
  }));
}

/** Flags of one command line. `check` takes those of the agent as well. */
export function flagWords(command: CommandName): readonly FlagWords[] {
  const flags = [...flagsOf(command), ...(command === 'check' ? flagsOf('agent') : [])];
  return [...new Map(flags.map((flag) => [flag.name, flag])).values()].map(wordsOf);
}

function wordsOf({ name, aliases = [], help, value }: Flag): FlagWords {
  return { names: [name, ...aliases], help, value, isFile: PATHS.includes(value ?? '') };
}
