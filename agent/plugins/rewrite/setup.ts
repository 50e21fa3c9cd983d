/** `rewrite [continue|stop] FIELD …`: changes queries and their responses. */
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { rewriteHandler } from './handler.ts';
import { readRule } from './rules.ts';

/** The rules of all uses are applied in the order of the file. Throws ConfigError at the first invalid rule. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const rules = directive.uses.map(readRule);
  return { name: 'rewrite', handle: rewriteHandler(rules, services) };
}
