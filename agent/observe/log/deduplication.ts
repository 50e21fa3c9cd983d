/**
 * Deduplicates repeated lines: the first of an event is written at once, those of the next 10 s become one line with
 * `repeated`. An outage then costs one line per kind of failure and window, not one per query.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { eventOf } from '../../base/events/table.ts';
import { DEDUPLICATE_BY, type Logger, type ProblemFields } from '../../query/services/log.ts';

/** How long repeats are collected after the first line of an event. */
export const DEDUPLICATION_WINDOW_MS = 10_000;
/** Maximum kinds of events remembered at once for each level; above it the oldest window ends early. */
export const MAX_EVENTS = 1_000;

type Write = (fields: ProblemFields, message: string) => void;

interface Window {
  readonly write: Write;
  readonly timer: Timer;
  repeated: number;
  /** Time of the last repeat. */
  lastMs: number;
  fields: ProblemFields;
  message: string;
}

/** A logger that holds back repeats of warnings and errors. Lines at info and debug are not deduplicated. */
export interface DeduplicatingLogger extends Logger {
  /** Ends every window now and writes the repeats that were held back. */
  close(): void;
}

/**
 * Deduplicates warnings and errors of `log`. Two lines are the same if level and `DEDUPLICATE_BY` are equal; without
 * it, level and the field `event` if the table of events says so, else level and message. The deduplicated line has the
 * last repeat's fields and time: a line that is written late must not look as if it happened after the lines before it.
 */
export function deduplicated(
  log: Logger,
  clock: Clock,
  windowMs = DEDUPLICATION_WINDOW_MS,
): DeduplicatingLogger {
  /** By level: a key made of both would be a new string for each line. */
  const byLevel = { warn: new Map<string, Window>(), error: new Map<string, Window>() };

  const end = (windows: Map<string, Window>, key: string): void => {
    const window = windows.get(key);
    if (window === undefined) return;
    windows.delete(key);
    window.timer.cancel();
    const { repeated, fields, message } = window;
    if (repeated === 0) return;
    const lastTime = new Date(window.lastMs).toISOString();
    window.write({ ...fields, repeated, lastTime }, `${message} (repeated, last at ${lastTime})`);
  };

  const deduplicate =
    (windows: Map<string, Window>, write: Write): Write =>
    (fields, message) => {
      const { event } = fields;
      const key =
        fields[DEDUPLICATE_BY] ?? (eventOf(event)?.ignoresText === true ? event : message);
      const window = windows.get(key);
      if (window !== undefined) {
        window.repeated++;
        window.lastMs = clock.wallMs();
        window.fields = fields;
        window.message = message;
        return;
      }
      if (windows.size >= MAX_EVENTS) end(windows, windows.keys().next().value as string);
      const timer = clock.after(windowMs, () => end(windows, key));
      windows.set(key, { write, timer, repeated: 0, lastMs: 0, fields, message });
      write(fields, message);
    };

  return {
    debug: log.debug,
    info: log.info,
    warn: deduplicate(byLevel.warn, log.warn),
    error: deduplicate(byLevel.error, log.error),
    close: () => {
      for (const windows of Object.values(byLevel))
        for (const key of windows.keys()) end(windows, key);
    },
  };
}
