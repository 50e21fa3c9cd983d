/**
 * Every event that a warning or an error of the log can have: its name, what it means, what to do. The types of both
 * loggers demand a name from here; docs/reference/logs.md is made from it.
 */
import { AGENT_EVENTS } from './agent-events.ts';
import { INIT_EVENTS } from './init-events.ts';
import type { LogEvent } from './types.ts';

export { AGENT_EVENTS, INIT_EVENTS };

export type AgentEvent = keyof typeof AGENT_EVENTS;
export type InitEvent = keyof typeof INIT_EVENTS;

const EVENTS: Readonly<Record<string, LogEvent | undefined>> = { ...AGENT_EVENTS, ...INIT_EVENTS };

/** What the table says about the field `event` of a line; undefined for a line without. */
export function eventOf(name: unknown): LogEvent | undefined {
  return typeof name === 'string' ? EVENTS[name] : undefined;
}

/** `fields`, with the table's remedy for their event where they have none. */
export function withRemedy<F extends Readonly<Record<string, unknown>>>(fields: F): F {
  const remedy = eventOf(fields.event)?.remedy;
  return remedy === undefined || fields.remedy !== undefined ? fields : { ...fields, remedy };
}
