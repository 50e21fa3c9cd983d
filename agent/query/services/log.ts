/** The structured log interface of all rooms. */
import type { AgentEvent } from '../../base/events/table.ts';

/**
 * Fields of one line. `event`, if present, is the event's name. Of warnings and errors with the same `DEDUPLICATE_BY`,
 * which is never written, only the first is written at once and repeats are counted. Without it, the event's name is
 * used, else the message.
 */
export type LogFields = Readonly<Record<string, unknown>> & { readonly [DEDUPLICATE_BY]?: string };

/** Fields of a warning or an error: its event is in the table of base/events. */
export type ProblemFields = LogFields & { readonly event: AgentEvent };

/** Key of the field that groups repeats; see `LogFields`. */
export const DEDUPLICATE_BY: unique symbol = Symbol('deduplicate by');

/** One line for each call, except repeats of a warning or an error. `debug` lines need the directive `debug`. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: ProblemFields, message: string): void;
  error(fields: ProblemFields, message: string): void;
}
