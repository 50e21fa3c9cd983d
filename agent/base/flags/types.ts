/** An entry in the table of flags. */

/** A command line. `drop-in` is node-local-dns's, without a subcommand. */
export type CommandName =
  | 'agent'
  | 'init'
  | 'drop-in'
  | 'check'
  | 'doctor'
  | 'completion'
  | AdminCommand;

/** Commands that ask the running agent over its admin socket. */
export const ADMIN_COMMANDS = [
  'status',
  'cache',
  'query',
  'explain',
  'observe',
  'top',
  'support',
] as const;
/** One of them. */
export type AdminCommand = (typeof ADMIN_COMMANDS)[number];

/** One flag. Parsing, help texts and docs/reference/flags.md come from it. */
export interface Flag {
  readonly name: string;
  /** Other spellings of the same flag. */
  readonly aliases?: readonly string[];
  /** Type of the value, as a word for the help text; undefined for a switch, which accepts `=true` or `=false`. */
  readonly value?: string;
  /** Value if the flag is absent. */
  readonly default?: string;
  /** Describes the default if it is not a fixed value. */
  readonly defaultText?: string;
  readonly commands: readonly CommandName[];
  readonly help: string;
}
