/** `errors [stdout] { stacktrace; consolidate DUR REGEX [LEVEL] [show_first] }`: logs errors of later plugins. */
import { ConfigError } from '../../base/errors.ts';
import {
  argsBetween,
  choiceArg,
  durationArg,
  maxArgs,
  noArgs,
  onlyUse,
  readOptions,
} from '../../config/corefile/args.ts';
import { patternArg } from '../../config/corefile/pattern.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { Consolidation, type ConsolidationOptions } from './consolidate.ts';
import { reportErrors } from './handler.ts';

const LEVELS = { warning: 'warn', error: 'error', info: 'info', debug: 'debug' } as const;
const LEVEL_WORDS = Object.keys(LEVELS) as (keyof typeof LEVELS)[];
const SHOW_FIRST = 'show_first';

/** `stop` ends open windows with their line. Throws ConfigError for a second use and a target other than stdout. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const [target] = maxArgs(line, 1);
  if (target !== undefined) choiceArg(target, ['stdout']);
  let stacktrace = false;
  const rules: ConsolidationOptions[] = [];
  readOptions(line, {
    stacktrace: (option) => {
      noArgs(option);
      stacktrace = true;
    },
    consolidate: (option) => rules.push(readConsolidate(option)),
  });
  const { clock, log } = services;
  const consolidations = rules.map((rule) => new Consolidation(rule, clock, log));
  return {
    name: 'errors',
    handle: reportErrors({ clock, log, stacktrace, consolidations }),
    stop: () => {
      for (const consolidation of consolidations) consolidation.end();
    },
  };
}

function readConsolidate(option: Line): ConsolidationOptions {
  const [duration, regex, ...words] = argsBetween(option, 2, 4) as [Token, Token, ...Token[]];
  const showFirst = words.at(-1)?.text === SHOW_FIRST;
  const levels = showFirst ? words.slice(0, -1) : words;
  const extra = levels[1];
  if (extra !== undefined) {
    throw new ConfigError(extra.place, `"${extra.text}" is not ${SHOW_FIRST}, which comes last`);
  }
  const [level] = levels;
  return {
    windowMs: durationArg(duration, { minMs: 1 }),
    pattern: patternArg(regex),
    text: regex.text,
    level: LEVELS[level === undefined ? 'error' : choiceArg(level, LEVEL_WORDS)],
    showFirst,
  };
}
