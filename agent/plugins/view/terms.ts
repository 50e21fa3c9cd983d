/** Terms of an expression: the type of a part, known when the configuration is parsed, and how to compute its value. */
import type { Query } from '../../query/query.ts';

/** Value of a term. Numbers may have fractions. */
export type Value = boolean | number | string | readonly Value[];
/** Type of a value, as error messages name it. */
export type Kind = 'true or false' | 'number' | 'text' | 'list';

/** A part of an expression, with its type. */
export interface Term {
  readonly kind: Kind;
  /** Value of a term that is the same for every query. */
  readonly constant?: Value;
  /** Throws if there is no value: the expression then counts as false. */
  readonly of: (query: Query) => Value;
}

/** The term of a literal. */
export function constant(value: Value): Term {
  return { kind: kindOf(value), constant: value, of: () => value };
}

function kindOf(value: Value): Kind {
  if (typeof value === 'boolean') return 'true or false';
  if (typeof value === 'number') return 'number';
  return typeof value === 'string' ? 'text' : 'list';
}

/** The term of a condition. */
export function truth(of: (query: Query) => boolean): Term {
  return { kind: 'true or false', of };
}

/** Throws RangeError unless `term` is of `kind`; `where` names the operator or function. */
export function mustBe(term: Term, kind: Kind, where: string): Term {
  if (term.kind !== kind) throw new RangeError(`${where} takes ${kind}, not ${term.kind}`);
  return term;
}
