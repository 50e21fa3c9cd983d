/** Structured log lines of init: one JSON object a line, the same fields as the agent's log. */
import type { Clock } from '../agent/base/clock.ts';
import { type InitEvent, withRemedy } from '../agent/base/events/table.ts';

export type LogLevel = 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;
/** Of a warning or an error: its event is in the table of base/events. */
export type ProblemFields = LogFields & { readonly event: InitEvent };

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
