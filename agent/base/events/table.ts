/**
 * Every event of a warning or an error in the log: its name, its meaning, its remedy. The types of both loggers accept
 * only names from here; docs/reference/logs.md is generated from it.
 */
import { AGENT_EVENTS as AGENT_OWN_EVENTS } from './agent-events.ts';
import { INIT_EVENTS } from './init-events.ts';
import { KUBERNETES_EVENTS } from './kubernetes-events.ts';
import type { LogEvent } from './types.ts';

export { INIT_EVENTS };

/** Events of the agent's log. */
export const AGENT_EVENTS = { ...AGENT_OWN_EVENTS, ...KUBERNETES_EVENTS };

/** Names of events that the agent's logger accepts. */
export type AgentEvent = keyof typeof AGENT_EVENTS;
/** Names of events that init's logger accepts. */
export type InitEvent = keyof typeof INIT_EVENTS;

const EVENTS: Readonly<Record<string, LogEvent | undefined>> = { ...AGENT_EVENTS, ...INIT_EVENTS };

/** The table's entry for the field `event` of a line; undefined for a line without one. */
export function eventOf(name: unknown): LogEvent | undefined {
  return typeof name === 'string' ? EVENTS[name] : undefined;
}

/** `fields`, plus the table's remedy for their event if they have none. */
export function withRemedy<F extends Readonly<Record<string, unknown>>>(fields: F): F {
  const remedy = eventOf(fields.event)?.remedy;
  return remedy === undefined || fields.remedy !== undefined ? fields : { ...fields, remedy };
}
