/** `log [NAMES…] [FORMAT] { class all|success|denial|error… }`: one line for every query. */
import { choiceArg, minArgs, readOptions, zonesOf } from '../../config/corefile/args.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import type { ResponseClass } from './classify.ts';
import { COMMON_FORMAT, compileFormat } from './format.ts';
import { type LogRule, logQueries } from './handler.ts';

const CLASSES = ['all', 'success', 'denial', 'error'] as const;

/** A last argument with a brace is the format. Throws ConfigError for invalid names and classes. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const rules = directive.uses.flatMap((line) => rulesOf(line, block));
  return { name: 'log', handle: logQueries(rules, services.clock, services.writeLine) };
}

/** A rule for every name of one use, all with its format and classes. */
function rulesOf(line: Line, block: Block): LogRule[] {
  const last = line.args.at(-1);
  const hasFormat = last?.text.includes('{') === true;
  const format = compileFormat(hasFormat ? (last?.text as string) : COMMON_FORMAT);
  const names = zonesOf(hasFormat ? line.args.slice(0, -1) : line.args, block);
  const classes = classesOf(line);
  return names.map((name) => ({ zone: nameFromText(name), format, classes }));
}

/** Undefined for every class. */
function classesOf(line: Line): ReadonlySet<ResponseClass> | undefined {
  const classes = new Set<(typeof CLASSES)[number]>();
  readOptions(line, {
    class: (option) => {
      for (const token of minArgs(option, 1)) classes.add(choiceArg(token, CLASSES));
    },
  });
  if (classes.size === 0 || classes.delete('all')) return undefined;
  return classes as ReadonlySet<ResponseClass>;
}
