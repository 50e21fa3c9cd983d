/** `view NAME { expr EXPRESSION }`: the block answers only queries for which every expression is true. */

import { ConfigError, messageOf, NodensError } from '../../base/errors.ts';
import { badValue, minArgs, oneArg, onlyUse, readOptions } from '../../config/corefile/args.ts';
import { patternArg } from '../../config/corefile/pattern.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import { compileExpression } from './expression.ts';

/** Throws ConfigError for a second use, a missing name or expression, and an expression that is not valid. */
export function setup(directive: Directive, _block: Block): Plugin {
  const line = onlyUse(directive);
  const name = oneArg(line);
  if (name.text === '') throw badValue(name, 'the name of a view');
  const conditions: ((query: Query) => boolean)[] = [];
  readOptions(line, { expr: (option) => conditions.push(conditionOf(option)) });
  if (conditions.length === 0)
    throw new ConfigError(line.name.place, 'view needs an expression: add "expr …" in its braces');
  return {
    name: 'view',
    view: name.text,
    accepts: (query) => {
      if (!conditions.every((condition) => condition(query))) return false;
      query.metadata?.set('view/name', name.text);
      return true;
    },
  };
}

function conditionOf(option: Line): (query: Query) => boolean {
  const words = minArgs(option, 1);
  const text = words.map((word) => word.text).join(' ');
  const { place } = option.name;
  try {
    return compileExpression(text, (pattern) => patternArg({ text: pattern, place, quoted: true }));
  } catch (error) {
    if (error instanceof NodensError) throw error;
    throw new ConfigError(place, `expr ${text}: ${messageOf(error)}`, { cause: error });
  }
}
