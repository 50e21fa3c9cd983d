/** `cancel [TIMEOUT]`: maximum time that a query may wait for upstreams. */
import { badValue, durationArg, maxArgs, noBody } from '../../config/corefile/args.ts';
import type { Directive, Line } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import { limitBudget } from './handler.ts';

const DEFAULT_MS = 5_001;

/** The default is CoreDNS's 5,001 ms. Throws ConfigError for a timeout of zero. */
export function setup(directive: Directive): Plugin {
  // The last of several uses is effective, as in CoreDNS.
  const [ms = DEFAULT_MS] = directive.uses.map(readTimeoutMs).slice(-1);
  return { name: 'cancel', handle: limitBudget(ms) };
}

function readTimeoutMs(line: Line): number {
  noBody(line);
  const timeout = maxArgs(line, 1)[0];
  const ms = timeout === undefined ? DEFAULT_MS : durationArg(timeout);
  if (timeout !== undefined && ms === 0) throw badValue(timeout, 'a timeout: it is zero');
  return ms;
}
