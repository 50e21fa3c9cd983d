/** The contract between the chain and its plugins (docs/architecture.md, "The path of a query"). */
import type { Block, Directive } from '../config/corefile/types.ts';
import type { Answer } from './answer.ts';
import type { Handle, Handler, Result } from './handler.ts';
import type { Query } from './query.ts';
import type { Services } from './services/services.ts';

/** Whether there are queries to be answered in the meantime. */
export type Pace = 'at once' | 'beside queries';

export interface Plugin {
  readonly name: string;
  /**
   * Answers, or passes on to `next`. A plain function, never `async`. Undefined for directives that only configure
   * (bind, health, prometheus).
   */
  readonly handle?: Handle;
  /** Looks on at every plugin behind it in the chain: gives the handler to use in its place. */
  readonly watch?: (name: string, handle: Handle) => Handle;
  /** Tells what it knows of a query, before routing has chosen a view; run only where the block has `metadata`. */
  readonly describe?: (query: Query) => void;
  /** Whether its block answers the query (`view`): another block with the same zone may, where this says no. */
  readonly accepts?: (query: Query) => boolean;
  /** Name of the view its block is; label `view` of series. */
  readonly view?: string;
  /** False while the plugin cannot answer yet; `ready` asks. Absent means always ready. */
  readonly ready?: () => boolean;
  /**
   * Does what must be done before the plugin can answer and takes time, such as reading a file of any size; the old
   * configuration serves in the meantime. Rejects with ConfigError where the plugin cannot answer.
   */
  readonly prepare?: (pace: Pace) => Promise<void>;
  /** Called once, in place of `start` and `stop`, when the configuration does not come to serve. */
  readonly discard?: () => void;
  /** Called once when the configuration it belongs to has begun to serve. */
  readonly start?: () => void;
  /** Called once when that configuration serves no more: timers, probes and watches end here. */
  readonly stop?: () => void;
}

/**
 * Makes a plugin from all uses of its directive in one block. Throws ConfigError with the place of the fault. Must not
 * start or read anything that takes long: `start` and `prepare` do.
 */
export type Setup = (directive: Directive, block: Block, services: Services) => Plugin;

/** Prepares `plugins`, one after the other. Rejects with what the first one says, the others discarded. */
export async function prepareAll(plugins: readonly Plugin[], pace: Pace): Promise<void> {
  try {
    for (const plugin of plugins) await plugin.prepare?.(pace);
  } catch (error) {
    for (const plugin of plugins) plugin.discard?.();
    throw error;
  }
}

/** The last link of every chain is given by the caller: what happens when no plugin answers. */
export function compose(plugins: readonly Plugin[], last: Handler): Handler {
  let next = last;
  for (const [index, plugin] of [...plugins.entries()].toReversed()) {
    if (plugin.handle === undefined) continue;
    const handle = plugins
      .slice(0, index)
      .reduce((inner, { watch }) => watch?.(plugin.name, inner) ?? inner, plugin.handle);
    const rest = next;
    next = (query) => handle(query, rest);
  }
  return next;
}

/**
 * Acts behind the rest of the chain: value, throw, promise and rejection reach the same two functions, and a value
 * stays a value. `onError` may answer, or throw again (its default).
 */
export function after(
  next: Handler,
  query: Query,
  onAnswer: (answer: Answer) => Result,
  onError: (error: unknown) => Result = rethrow,
): Result {
  let result: Result;
  try {
    result = next(query);
  } catch (error) {
    return onError(error);
  }
  return result instanceof Promise ? result.then(onAnswer, onError) : onAnswer(result);
}

function rethrow(error: unknown): never {
  throw error;
}
