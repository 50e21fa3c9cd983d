/** What the table of log events says about an event. */

export interface LogEvent {
  readonly level: 'error' | 'warn' | 'warn or info';
  readonly meaning: string;
  /** What to do. Both loggers add it to a line that brings no `remedy` of its own. */
  readonly remedy: string;
  /** Page in docs/runbooks, without `.md`. */
  readonly runbook: string;
  /** Repeats are deduplicated whatever their text says. Without it only lines with the same text are. */
  readonly ignoresText?: true;
}
