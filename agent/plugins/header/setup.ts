/** `header { query|response set|clear FLAG… }`: sets or clears header bits. */
import { ConfigError } from '../../base/errors.ts';
import {
  badValue,
  choiceArg,
  lowerCase,
  minArgs,
  noArgs,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Directive, Line, Token } from '../../config/corefile/types.ts';
import { FLAG } from '../../dns/header.ts';
import type { Plugin } from '../../query/plugin.ts';
import { type FlagChange, headerHandler } from './handler.ts';

const FLAGS = new Map([
  ['aa', FLAG.AA],
  ['ra', FLAG.RA],
  ['rd', FLAG.RD],
]);
const NOTHING: FlagChange = { set: 0, clear: 0 };

/** Lines of all uses are merged. Throws ConfigError for a use without braces and for unknown flags. */
export function setup(directive: Directive): Plugin {
  let query = NOTHING;
  let response = NOTHING;
  for (const line of directive.uses) {
    noArgs(line);
    if (line.body === undefined)
      throw new ConfigError(line.name.place, 'header needs braces with query or response lines');
    const options = {
      query: (option: Line) => {
        query = readChange(query, option);
      },
      response: (option: Line) => {
        response = readChange(response, option);
      },
    };
    readOptions(line, options, true);
  }
  return { name: 'header', handle: headerHandler(query, response) };
}

/** `before` plus another line; if two contradict each other, the later one wins. */
function readChange(before: FlagChange, option: Line): FlagChange {
  const [action, ...flags] = minArgs(option, 2) as readonly [Token, ...Token[]];
  const bits = flags.reduce((sum, token) => sum | flagArg(token), 0);
  const { set, clear } = before;
  return choiceArg(lowerCase(action), ['set', 'clear']) === 'set'
    ? { set: set | bits, clear: clear & ~bits }
    : { set: set & ~bits, clear: clear | bits };
}

function flagArg(token: Token): number {
  const bit = FLAGS.get(token.text.toLowerCase());
  if (bit === undefined) throw badValue(token, 'a flag: aa, ra or rd');
  return bit;
}
