/** Operators with a boolean result. */
import type { Pattern } from '../../base/text/pattern.ts';
import { mustBe, type Term, truth } from './terms.ts';

/** A pattern from its text. Throws for invalid text. */
export type MakePattern = (text: string) => Pattern;

type Ordered = number | string;

const ORDERS: Readonly<Record<string, (a: Ordered, b: Ordered) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/**
 * The term for one of `==`, `!=`, `<`, `<=`, `>` and `>=`. Throws RangeError for terms of different kinds, for lists,
 * and for the order of truth values.
 */
export function compare(sign: string, left: Term, right: Term): Term {
  if (left.kind !== right.kind || left.kind === 'list')
    throw new RangeError(`${sign} cannot compare ${left.kind} with ${right.kind}`);
  if (sign === '==') return truth((query) => left.of(query) === right.of(query));
  if (sign === '!=') return truth((query) => left.of(query) !== right.of(query));
  if (left.kind === 'true or false') throw new RangeError(`${sign} takes numbers or text`);
  const order = ORDERS[sign] as (a: Ordered, b: Ordered) => boolean;
  return truth((query) => order(left.of(query) as Ordered, right.of(query) as Ordered));
}

/** `item in list`. */
export function contains(list: Term, item: Term): Term {
  mustBe(list, 'list', 'in');
  if (list.constant !== undefined) {
    const values = new Set(list.constant as readonly unknown[]);
    return truth((query) => values.has(item.of(query)));
  }
  return truth((query) => (list.of(query) as readonly unknown[]).includes(item.of(query)));
}

const TEXT: Readonly<Record<string, (text: string, part: string) => boolean>> = {
  contains: (text, part) => text.includes(part),
  startsWith: (text, part) => text.startsWith(part),
  endsWith: (text, part) => text.endsWith(part),
};

/**
 * The term for `contains`, `startsWith`, `endsWith` or `matches`. Throws RangeError unless both terms are text and the
 * pattern of `matches` is constant.
 */
export function textOperator(
  word: string,
  left: Term,
  right: Term,
  makePattern: MakePattern,
): Term {
  mustBe(left, 'text', word);
  mustBe(right, 'text', word);
  if (word !== 'matches') {
    const test = TEXT[word] as (text: string, part: string) => boolean;
    return truth((query) => test(left.of(query) as string, right.of(query) as string));
  }
  if (right.constant === undefined)
    throw new RangeError('matches takes a regular expression in quotes');
  const pattern = makePattern(right.constant as string);
  return truth((query) => pattern.test(left.of(query) as string));
}
