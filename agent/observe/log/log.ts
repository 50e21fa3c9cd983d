/** Structured logs: one JSON object a line, with pino without transports. */
import { pino } from 'pino';
import type { Clock } from '../../base/clock.ts';
import { withRemedy } from '../../base/events/table.ts';
import type { Logger } from '../../query/services/log.ts';
import { deduplicated } from './deduplication.ts';

/** From the most lines to none. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** The lowest level that is written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where the lines go, and which. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Accepts one line without its line feed. */
  readonly writeLine: (line: string) => void;
  readonly clock: Clock;
}

/** A logger whose level a reload may change (`debug` in a Corefile). */
export interface AdjustableLogger extends Logger {
  setLevel(level: LogLevel): void;
  /** Writes the lines held back by deduplication. For the end of the process. */
  close(): void;
}

/**
 * The logger of the process. Warnings and errors that repeat within 10 s are deduplicated (see `deduplication.ts`). A
 * line is `{"level":"error","time":"2026-01-31T12:00:00.000Z",…fields,"msg":"…"}`.
 */
export function createLogger({ level, writeLine, clock }: LogOptions): AdjustableLogger {
  const out = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => writeLine(line.trimEnd()) },
  );
  const plain: Logger = {
    debug: (fields, message) => out.debug(fields, message),
    info: (fields, message) => out.info(fields, message),
    warn: (fields, message) => out.warn(withRemedy(fields), message),
    error: (fields, message) => out.error(withRemedy(fields), message),
  };
  const { close, ...logger } = deduplicated(plain, clock);
  const setLevel = (next: LogLevel): void => {
    out.level = next;
  };
  return { ...logger, setLevel, close };
}
