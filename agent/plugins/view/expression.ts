/**
 * Expressions over a query, in the part of the expr language that views need: functions, text, numbers, lists,
 * comparison, arithmetic, `in`, text operators, logic. Types are checked when the configuration is parsed.
 */
import type { Query } from '../../query/query.ts';
import { call } from './functions.ts';
import { compare, contains, type MakePattern, textOperator } from './operators.ts';
import { constant, mustBe, type Term, truth, type Value } from './terms.ts';
import { type Word, wordsOf } from './words.ts';

/** Deeper than any real expression, and safe for the call stack. */
const MAX_DEPTH = 64;

/** Whether a query matches. Throws RangeError for text that is not an expression, or one that is not boolean. */
export function compileExpression(
  text: string,
  makePattern: MakePattern,
): (query: Query) => boolean {
  const term = mustBe(new Parser(text, makePattern).whole(), 'true or false', 'a view');
  return (query) => {
    try {
      return term.of(query) as boolean;
    } catch {
      // As in CoreDNS: an expression that cannot be evaluated does not match.
      return false;
    }
  };
}

class Parser {
  readonly #words: readonly Word[];
  readonly #makePattern: MakePattern;
  #at = 0;
  #depth = 0;

  constructor(text: string, makePattern: MakePattern) {
    this.#words = wordsOf(text);
    this.#makePattern = makePattern;
  }

  whole(): Term {
    const term = this.#either();
    if (this.#next.kind !== 'end') throw new RangeError(`"${this.#next.text}" was not expected`);
    return term;
  }

  get #next(): Word {
    return this.#words[this.#at] as Word;
  }

  /** Consumes the next word if it is one of `texts` and not quoted. */
  #take(...texts: readonly string[]): string | undefined {
    const { kind, text } = this.#next;
    if (kind === 'text' || kind === 'end' || !texts.includes(text)) return undefined;
    this.#at++;
    return text;
  }

  #expect(text: string): void {
    if (this.#take(text) === undefined)
      throw new RangeError(`"${text}" is missing before ${this.#next.text}`);
  }

  #either(): Term {
    if (++this.#depth > MAX_DEPTH) throw new RangeError(`nests deeper than ${MAX_DEPTH}`);
    let left = this.#both();
    for (let sign = this.#take('||', 'or'); sign !== undefined; sign = this.#take('||', 'or')) {
      const a = mustBe(left, 'true or false', sign);
      const b = mustBe(this.#both(), 'true or false', sign);
      left = truth((query) => (a.of(query) as boolean) || (b.of(query) as boolean));
    }
    this.#depth--;
    return left;
  }

  #both(): Term {
    let left = this.#comparison();
    for (let sign = this.#take('&&', 'and'); sign !== undefined; sign = this.#take('&&', 'and')) {
      const a = mustBe(left, 'true or false', sign);
      const b = mustBe(this.#comparison(), 'true or false', sign);
      left = truth((query) => (a.of(query) as boolean) && (b.of(query) as boolean));
    }
    return left;
  }

  #comparison(): Term {
    const left = this.#sum();
    const sign = this.#take('==', '!=', '<', '<=', '>', '>=');
    if (sign !== undefined) return compare(sign, left, this.#sum());
    if (this.#take('in') !== undefined) return contains(this.#sum(), left);
    if (this.#take('not') !== undefined) {
      this.#expect('in');
      return negated(contains(this.#sum(), left));
    }
    const word = this.#take('contains', 'startsWith', 'endsWith', 'matches');
    if (word === undefined) return left;
    return textOperator(word, left, this.#sum(), this.#makePattern);
  }

  #sum(): Term {
    let left = this.#product();
    for (let sign = this.#take('+', '-'); sign !== undefined; sign = this.#take('+', '-')) {
      const right = this.#product();
      left = sign === '+' && left.kind === 'text' ? joined(left, right) : math(sign, left, right);
    }
    return left;
  }

  #product(): Term {
    let left = this.#unary();
    for (let sign = this.#take('*', '/', '%'); sign; sign = this.#take('*', '/', '%')) {
      left = math(sign, left, this.#unary());
    }
    return left;
  }

  #unary(): Term {
    if (++this.#depth > MAX_DEPTH) throw new RangeError(`nests deeper than ${MAX_DEPTH}`);
    const sign = this.#take('!', 'not', '-');
    let term: Term;
    if (sign === undefined) term = this.#atom();
    else if (sign === '-') term = math('-', constant(0), this.#unary());
    else term = negated(this.#unary());
    this.#depth--;
    return term;
  }

  #atom(): Term {
    if (this.#take('(') !== undefined) {
      const inner = this.#either();
      this.#expect(')');
      return inner;
    }
    if (this.#take('[') !== undefined) return listOf(this.#list(']'));
    const { kind, text } = this.#next;
    if (kind === 'sign' || kind === 'end')
      throw new RangeError(`a value is missing before ${text}`);
    this.#at++;
    if (kind === 'number') return constant(Number(text));
    if (kind === 'text') return constant(text);
    if (text === 'true' || text === 'false') return constant(text === 'true');
    if (this.#take('(') === undefined) throw new RangeError(`unknown word "${text}"`);
    return call(text, this.#list(')'));
  }

  /** Terms between commas, up to `close`. */
  #list(close: string): Term[] {
    const terms: Term[] = [];
    while (this.#take(close) === undefined) {
      if (terms.length > 0) this.#expect(',');
      terms.push(this.#either());
    }
    return terms;
  }
}

function negated(term: Term): Term {
  const inner = mustBe(term, 'true or false', '!');
  return truth((query) => !(inner.of(query) as boolean));
}

function listOf(terms: readonly Term[]): Term {
  if (terms.every((term) => term.constant !== undefined))
    return constant(terms.map((term) => term.constant as Value));
  return { kind: 'list', of: (query) => terms.map((term) => term.of(query)) };
}

function joined(left: Term, right: Term): Term {
  mustBe(right, 'text', '+');
  return { kind: 'text', of: (query) => (left.of(query) as string) + (right.of(query) as string) };
}

const MATH: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

function math(sign: string, left: Term, right: Term): Term {
  mustBe(left, 'number', sign);
  mustBe(right, 'number', sign);
  const run = MATH[sign] as (a: number, b: number) => number;
  return {
    kind: 'number',
    of: (query) => run(left.of(query) as number, right.of(query) as number),
  };
}
