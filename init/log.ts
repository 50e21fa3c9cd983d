/** Structured log lines of init: one JSON object a line, the same fields as the agent's log. */
import type { Clock } from '../agent/base/clock.ts';

export type LogLevel = 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
}

/** A log that hands each finished line, newline included, to `write`: `{"level":…,"time":"2026-01-31T12:00:00.000Z",…}`. */
export function makeLog(clock: Clock, write: (line: string) => void): Log {
  const at =
    (level: LogLevel) =>
    (msg: string, fields: LogFields = {}): void =>
      write(
        `${JSON.stringify({ level, time: new Date(clock.wallMs()).toISOString(), ...fields, msg })}\n`,
      );
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
