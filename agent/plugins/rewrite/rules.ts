/** One rule from its words, or from the lines of its braces. */
import { ConfigError } from '../../base/errors.ts';
import { badValue, intArg, noBraces } from '../../config/corefile/args.ts';
import type { Line, Token } from '../../config/corefile/types.ts';
import { classNumber, rcodeNumber, typeNumber } from '../../dns/iana.ts';
import type { Rule, Undo } from './draft.ts';
import { edns0Rule } from './edns0-rule.ts';
import { matchOf, nameRule } from './name-rule.ts';
import { replacer, tester } from './names.ts';

/** One use of the directive. */
export interface OrderedRule {
  readonly apply: Rule;
  /** Whether later rules are skipped once it has matched. */
  readonly stops: boolean;
}

/** RFC 2181 §8. */
const MAX_TTL_SECONDS = 0x7fffffff;

/** Without `continue` a matching rule is the last one, as in CoreDNS. Throws ConfigError. */
export function readRule(line: Line): OrderedRule {
  const [first, ...rest] = [...line.args, ...inBraces(line)];
  if (first === undefined)
    throw new ConfigError(
      line.name.place,
      `rewrite needs one of ${Object.keys(FIELDS).join(', ')}`,
    );
  const word = first.text.toLowerCase();
  const isMode = word === 'continue' || word === 'stop';
  const [field, ...args] = isMode ? rest : [first, ...rest];
  return { apply: ruleOf(line, field ?? first, args), stops: word !== 'continue' };
}

/** The lines in the braces are the words of one rule. */
function inBraces({ body = [] }: Line): Token[] {
  return body.flatMap((inner) => {
    noBraces(inner);
    return [inner.name, ...inner.args];
  });
}

type Read = (line: Line, args: readonly Token[]) => Rule;

const FIELDS: Readonly<Record<string, Read>> = {
  name: nameRule,
  type: numberRule('type', typeNumber),
  class: numberRule('class', classNumber),
  ttl: ttlRule,
  rcode: rcodeRule,
  cname: cnameRule,
  edns0: edns0Rule,
};

function ruleOf(line: Line, field: Token, args: readonly Token[]): Rule {
  const name = field.text.toLowerCase();
  if (name === 'answer')
    throw new ConfigError(
      field.place,
      'answer rules must follow a name rule, in one line or block',
    );
  const read = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  if (read === undefined) throw badValue(field, `one of ${Object.keys(FIELDS).join(', ')}`);
  return read(line, args);
}

/** `args` as a match and exactly `count` further words. */
function matched(line: Line, args: readonly Token[], count: number) {
  const [match, words] = matchOf(args, count);
  if (words.length !== count)
    throw new ConfigError(line.name.place, `this rule takes ${count} values, got ${words.length}`);
  return { match, words: words as readonly [Token, Token, Token] };
}

function numberRule(field: 'type' | 'class', numberOf: (text: string) => number | undefined): Read {
  const arg = (token: Token): number => {
    const value = numberOf(token.text);
    if (value === undefined) throw badValue(token, `a record ${field}`);
    return value;
  };
  return (line, args) => {
    const [from, to, more] = args;
    if (from === undefined || to === undefined || more !== undefined)
      throw new ConfigError(line.name.place, `${field} needs exactly two values: from and to`);
    const [before, after] = [arg(from), arg(to)];
    return (draft) => {
      if (draft[field] !== before) return undefined;
      draft[field] = after;
      return {};
    };
  };
}

/** A rule that does not change the query and changes the response for some names. */
function responseRule(test: (name: string) => boolean, undo: Undo): Rule {
  return (draft) => (test(draft.name) ? undo : undefined);
}

function ttlRule(line: Line, args: readonly Token[]): Rule {
  const { match, words } = matched(line, args, 2);
  const [min, max] = rangeArg(words[1]);
  const ttl = (seconds: number): number => Math.min(max, Math.max(min, seconds));
  return responseRule(tester(match, words[0]), { ttl });
}

/** `30`, `30-300`, `-300` or `30-`, seconds. */
function rangeArg(token: Token): [min: number, max: number] {
  const seconds = (text: string): number =>
    intArg({ ...token, text }, { min: 0, max: MAX_TTL_SECONDS });
  const range = /^(\d*)-(\d*)$/.exec(token.text);
  if (range === null) return [seconds(token.text), seconds(token.text)];
  const [, low = '', high = ''] = range;
  if (low === '' && high === '') throw badValue(token, 'a TTL or a range of TTLs in seconds');
  const bounds = [low === '' ? 0 : seconds(low), high === '' ? MAX_TTL_SECONDS : seconds(high)];
  const [min, max] = bounds as [number, number];
  if (min > max) throw badValue(token, 'a range: its end is before its start');
  return [min, max];
}

function rcodeRule(line: Line, args: readonly Token[]): Rule {
  const { match, words } = matched(line, args, 3);
  const [from, to] = [rcodeArg(words[1]), rcodeArg(words[2])];
  return responseRule(tester(match, words[0]), { rcode: (rcode) => (rcode === from ? to : rcode) });
}

function rcodeArg(token: Token): number {
  const rcode = /^\d+$/.test(token.text) ? Number(token.text) : rcodeNumber(token.text);
  if (rcode === undefined || rcode > 0xfff) throw badValue(token, 'a response code');
  return rcode;
}

function cnameRule(line: Line, args: readonly Token[]): Rule {
  const { match, words } = matched(line, args, 2);
  const alias = replacer(match, words[0], words[1]);
  return () => ({ alias });
}
