/**
 * `log [NAMES…] [FORMAT] { class all|success|denial|error…; format text|json; sample 1/N; slow DURATION }`: one line for
 * every query, or for some.
 */
import {
  badValue,
  choiceArg,
  durationArg,
  minArgs,
  oneArg,
  readOptions,
  zonesOf,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import type { ResponseClass } from './classify.ts';
import { COMMON_FORMAT, compileFormat, type LineFormat } from './format.ts';
import { type LogRule, logQueries } from './handler.ts';
import { jsonFormat } from './json.ts';
import { Sample, sampleArg } from './sample.ts';

const CLASSES = ['all', 'success', 'denial', 'error'] as const;
const FORMATS = ['text', 'json'] as const;
/** A hit takes less. */
const MIN_SLOW_MS = 0.1;

/** A last argument with a brace is the format. Throws ConfigError for invalid names and options. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const rules = directive.uses.flatMap((line) => rulesOf(line, block, services));
  return { name: 'log', handle: logQueries(rules, services.clock, services.writeLine) };
}

/** A rule for every name of one use, all with its options. */
function rulesOf(line: Line, block: Block, services: Services): LogRule[] {
  const last = line.args.at(-1);
  const text = last?.text.includes('{') === true ? last : undefined;
  const names = zonesOf(text === undefined ? line.args : line.args.slice(0, -1), block);
  const { json, sampledOf, ...options } = optionsOf(line);
  const format = formatOf(text, json, services);
  const sample = sampledOf === undefined ? undefined : new Sample(sampledOf, services.random);
  return names.map((name) => ({ zone: nameFromText(name), format, sample, ...options }));
}

/** `json` is the token that asks for JSON. */
function formatOf(
  text: Token | undefined,
  json: Token | undefined,
  { clock }: Services,
): LineFormat {
  if (json === undefined) return compileFormat(text?.text ?? COMMON_FORMAT);
  if (text === undefined) return jsonFormat(clock);
  throw badValue(json, `possible beside the format "${text.text}": remove one of the two`);
}

interface LogOptions extends Pick<LogRule, 'classes' | 'slowMs'> {
  readonly json: Token | undefined;
  readonly sampledOf: number | undefined;
}

/** Of an option that is repeated the last one counts; classes add up. */
function optionsOf(line: Line): LogOptions {
  const classes = new Set<(typeof CLASSES)[number]>();
  let json: Token | undefined;
  let sampledOf: number | undefined;
  let slowMs: number | undefined;
  readOptions(line, {
    class: (option) => {
      for (const token of minArgs(option, 1)) classes.add(choiceArg(token, CLASSES));
    },
    format: (option) => {
      const token = oneArg(option);
      json = choiceArg(token, FORMATS) === 'json' ? token : undefined;
    },
    sample: (option) => {
      sampledOf = sampleArg(oneArg(option));
    },
    slow: (option) => {
      slowMs = durationArg(oneArg(option), { minMs: MIN_SLOW_MS });
    },
  });
  const isAll = classes.size === 0 || classes.has('all');
  const some = isAll ? undefined : (classes as ReadonlySet<ResponseClass>);
  return { classes: some, json, sampledOf, slowMs };
}
