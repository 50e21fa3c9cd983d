/** `name [MATCH] FROM TO [answer …]`: asks for another name, and restores the client's names in the answer. */
import { ConfigError } from '../../base/errors.ts';
import { badValue } from '../../config/corefile/args.ts';
import type { Line, Token } from '../../config/corefile/types.ts';
import type { Renaming, Rule, Undo } from './draft.ts';
import {
  fullName,
  MATCHES,
  type Match,
  regex,
  remap,
  replacer,
  suffix,
  whereMatching,
} from './names.ts';

interface AnswerRules {
  readonly isAuto: boolean;
  readonly owner: readonly Renaming[];
  readonly target: readonly Renaming[];
}

/** A match keyword, or `exact` if the first word is none and only `count` words are left. */
export function matchOf(args: readonly Token[], count: number): [Match, readonly Token[]] {
  const [first, ...rest] = args;
  if (args.length <= count || first === undefined) return ['exact', args];
  const match = MATCHES.find((word) => word === first.text.toLowerCase());
  if (match === undefined) throw badValue(first, `one of ${MATCHES.join(', ')}`);
  return [match, rest];
}

/** `args` are the words after `name`. Throws ConfigError for invalid names, patterns and answer rules. */
export function nameRule(line: Line, args: readonly Token[]): Rule {
  const [match, [from, to, ...rest]] = matchOf(args, 2);
  if (from === undefined || to === undefined)
    throw new ConfigError(line.name.place, 'name needs what to look for and what to ask for');
  const replace = replacer(match, from, to);
  const answers = readAnswers(rest);
  const automatic = match === 'exact' || answers.isAuto;
  const reverse =
    match === 'suffix' ? whereMatching(suffix(fullName(to), fullName(from))) : undefined;
  return (draft) => {
    const before = draft.name;
    const after = replace(before);
    if (after === undefined) return undefined;
    draft.name = after;
    return undoing(automatic ? (reverse ?? remap(draft.name, before)) : undefined, answers);
  };
}

function undoing(automatic: Renaming | undefined, { owner, target }: AnswerRules): Undo {
  const first = automatic === undefined ? [] : [automatic];
  return {
    owner: oneAfterTheOther([...first, ...owner]),
    target: oneAfterTheOther([...first, ...target]),
  };
}

function oneAfterTheOther(renamings: readonly Renaming[]): Renaming {
  return (name) => renamings.reduce((current, rename) => rename(current), name);
}

/** `answer (auto | name FROM TO | value FROM TO)`; further ones with or without the word `answer`. */
function readAnswers(args: readonly Token[]): AnswerRules {
  const rules = { isAuto: false, owner: [] as Renaming[], target: [] as Renaming[] };
  const left = [...args];
  if (left[0] !== undefined && left[0].text !== 'answer')
    throw badValue(left[0], 'what may follow a name rule: answer');
  while (left.length > 0) {
    const word = left.shift() as Token;
    const kind = word.text === 'answer' ? left.shift() : word;
    if (kind?.text === 'auto') {
      rules.isAuto = true;
      continue;
    }
    if (kind?.text !== 'name' && kind?.text !== 'value')
      throw badValue(kind ?? word, 'one of auto, name and value');
    const [from, to] = [left.shift(), left.shift()];
    if (from === undefined || to === undefined)
      throw new ConfigError(kind.place, `answer ${kind.text} needs a pattern and a replacement`);
    rules[kind.text === 'name' ? 'owner' : 'target'].push(whereMatching(regex(from, to)));
  }
  if (rules.isAuto && rules.owner.length > 0)
    throw new ConfigError(
      (args[0] as Token).place,
      'answer auto and answer name exclude each other',
    );
  return rules;
}
