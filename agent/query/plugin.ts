/** The contract between the chain and its plugins (docs/architecture.md, "The path of a query"). */
import type { Block, Directive } from '../config/corefile/types.ts';
import type { Answer } from './answer.ts';
import type { Handle, Handler, Result } from './handler.ts';
import type { Query } from './query.ts';
import type { Services } from './services/services.ts';

/** Whether the agent answers queries in the meantime. */
export type Pace = 'at once' | 'beside queries';

/** One directive of one block. Its configuration calls `prepare`, then either `start` and `stop`, or `discard`. */
export interface Plugin {
  readonly name: string;
  /**
   * Answers, or passes the query on to `next`. A plain function, never `async`. Undefined for directives that only
   * configure (bind, health, prometheus).
   */
  readonly handle?: Handle;
  /** Wraps the handler of every later plugin in the chain: returns the handler to use instead. */
  readonly watch?: (name: string, handle: Handle) => Handle;
  /** Collects metadata of a query before routing chooses a view. Runs only if the block has `metadata`. */
  readonly describe?: (query: Query) => void;
  /** Whether its block answers the query (`view`). If not, another block with the same zone may. */
  readonly accepts?: (query: Query) => boolean;
  /** Name of the block's view; label `view` of series. */
  readonly view?: string;
  /** False while the plugin cannot answer yet; the `ready` plugin polls it. Absent: always ready. */
  readonly ready?: () => boolean;
  /**
   * Slow work that must be done before the plugin can answer, such as reading a file of any size. The old configuration
   * serves in the meantime. Rejects with ConfigError if the plugin cannot answer.
   */
  readonly prepare?: (pace: Pace) => Promise<void>;
  /** Called once, instead of `start` and `stop`, if the configuration is never put into service. */
  readonly discard?: () => void;
  /** Called once when the configuration has been put into service. */
  readonly start?: () => void;
  /** Called once when the configuration is out of service: ends timers, probes and watches. */
  readonly stop?: () => void;
}

/**
 * Creates a plugin from all uses of its directive in one block. Throws ConfigError with the position of the fault. Must
 * not start or read anything slow: `start` and `prepare` do.
 */
export type Setup = (directive: Directive, block: Block, services: Services) => Plugin;

/** Prepares `plugins` one after the other. If one fails, rejects with its error and discards the others. */
export async function prepareAll(plugins: readonly Plugin[], pace: Pace): Promise<void> {
  try {
    for (const plugin of plugins) await plugin.prepare?.(pace);
  } catch (error) {
    for (const plugin of plugins) plugin.discard?.();
    throw error;
  }
}

/** `last` ends every chain: it decides what happens if no plugin answers. */
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
 * Runs after the rest of the chain. A value, throw, promise and rejection reach the same two functions, and a value
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
