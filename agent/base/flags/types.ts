/** What the table of flags says about a flag. */

/** A command line. `drop-in` is node-local-dns's, without a subcommand. */
export type CommandName = 'agent' | 'init' | 'drop-in' | 'check' | 'doctor';

export interface Flag {
  readonly name: string;
  /** Other spellings of the same flag. */
  readonly aliases?: readonly string[];
  /** Type of the value, as a word for the help text; undefined for a switch, which takes `=true` or `=false`. */
  readonly value?: string;
  /** Value where the flag is absent. */
  readonly default?: string;
  /** Says what holds where the flag is absent, when that is no fixed value. */
  readonly defaultText?: string;
  readonly commands: readonly CommandName[];
  readonly help: string;
}
