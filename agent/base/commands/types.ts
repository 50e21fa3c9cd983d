/** What is said of a command: `--help`, man pages and completion come from it and from the table of flags. */
import type { CommandName } from '../flags/types.ts';

/** One command line. */
export interface CommandInfo {
  readonly command: CommandName;
  /** After the name of the command: `get NAME [TYPE] | stats`; '' for flags only. */
  readonly usage: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** Lines of at most 130 characters. */
  readonly text: string;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly exitCodes: string;
  /** Words that may follow the command, for completion. */
  readonly actions?: readonly string[];
}

/** Exit codes that the commands share which ask the running agent. */
export const COMMON_EXIT_CODES = '2 wrong usage, 3 no agent answers on the admin socket.';
