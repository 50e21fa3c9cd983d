/** Structured log lines of init: one JSON object a line, the same fields as the agent's log. */
import type { Clock } from '../agent/base/clock.ts';
import { type InitEvent, withRemedy } from '../agent/base/events/table.ts';

/** The value of the field `level` in a log line. */
export type LogLevel = 'info' | 'warn' | 'error';

/** Fields of a log line beside `level`, `time` and `msg`; `JSON.stringify` leaves out those that are undefined. */
export type LogFields = Readonly<Record<string, unknown>>;
/** Of a warning or an error: its event is in the table of base/events. */
export type ProblemFields = LogFields & { readonly event: InitEvent };

/** Where the parts of init write log lines. Warnings and errors must name an event, so that each has a remedy. */
export interface Log {
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields: ProblemFields): void;
  error(msg: string, fields: ProblemFields): void;
}

/** A log that hands each finished line, newline included, to `write`: `{"level":…,"time":"2026-01-31T12:00:00.000Z",…}`. */
export function makeLog(clock: Clock, write: (line: string) => void): Log {
  const at =
    (level: LogLevel) =>
    (msg: string, fields: LogFields = {}): void =>
      write(
        `${JSON.stringify({ level, time: new Date(clock.wallMs()).toISOString(), ...withRemedy(fields), msg })}\n`,
      );
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
