/** An entry in the table of log events. */

/** One event: what a line with its name means, and what to do about it. */
export interface LogEvent {
  readonly level: 'error' | 'warn' | 'warn or info';
  readonly meaning: string;
  /** What to do. Both loggers add it to a line without its own `remedy`. */
  readonly remedy: string;
  /** Page in docs/runbooks, without `.md`. */
  readonly runbook: string;
  /** Repeats are deduplicated whatever their text. Without it, only lines with the same text are. */
  readonly ignoresText?: true;
}
