/**
 * Go's text/template, as far as records need it: text, fields, variables, pipelines, function calls, `if` and `with`.
 * Everything but values is checked when the Corefile is parsed.
 */
import { type ActionPart, type ActionToken, partsOf, type TextPart } from './lexer.ts';
import { FUNCTIONS, isTrue, printed, TemplateError, type Value } from './values.ts';

/** Values of `.` and `$`, and the variables set so far. */
interface Scope {
  readonly root: ReadonlyMap<string, Value>;
  readonly dot: Value;
  readonly variables: Map<string, Value>;
}

type Evaluate = (scope: Scope) => Value;
type Render = (scope: Scope) => string;

/** A template that can be filled any number of times. */
export interface Compiled {
  /** Throws TemplateError. */
  readonly fill: (data: ReadonlyMap<string, Value>) => string;
  /** Fields of the data that it uses. */
  readonly fields: ReadonlySet<string>;
}

const BEYOND = [
  'range',
  'define',
  'template',
  'block',
  'break',
  'continue',
  'call',
  'html',
  'js',
  'urlquery',
];

/** Throws RangeError for invalid or unsupported text; `known` are the available fields. */
export function compile(source: string, known: readonly string[]): Compiled {
  const parser = new Parser(partsOf(source), known);
  const render = parser.all();
  return {
    fill: (data) => render({ root: data, dot: data, variables: new Map() }),
    fields: parser.fields,
  };
}

class Parser {
  readonly fields = new Set<string>();
  readonly #parts: readonly (TextPart | ActionPart)[];
  readonly #known: readonly string[];
  readonly #declared = new Set<string>();
  #at = 0;
  #tokens: readonly ActionToken[] = [];
  #token = 0;
  /** Depth of `with`: inside one, `.` is not the data. */
  #withs = 0;

  constructor(parts: readonly (TextPart | ActionPart)[], known: readonly string[]) {
    this.#parts = parts;
    this.#known = known;
  }

  all(): Render {
    const [render, end] = this.#list();
    if (end !== undefined) throw new RangeError(`{{ ${end} }} without if or with`);
    return render;
  }

  /** Everything up to `end` or `else`, and which of them it was. */
  #list(): [render: Render, end: string | undefined] {
    const pieces: Render[] = [];
    for (;;) {
      const part = this.#parts[this.#at++];
      if (part === undefined) return [joined(pieces), undefined];
      if (part.kind === 'text') {
        pieces.push(() => part.text);
        continue;
      }
      this.#tokens = part.tokens;
      this.#token = 0;
      const word = part.tokens[0]?.kind === 'word' ? part.tokens[0].text : '';
      if (word === 'end' || word === 'else') {
        this.#token = 1;
        return [joined(pieces), word];
      }
      pieces.push(this.#action(word));
    }
  }

  #action(word: string): Render {
    if (word === 'if' || word === 'with') {
      this.#token = 1;
      return this.#choice(word);
    }
    const isSilent = this.#tokens.some(({ text }) => text === ':=' || text === '=');
    const value = this.#pipeline();
    this.#done();
    return (scope) => {
      const text = printed(value(scope));
      return isSilent ? '' : text;
    };
  }

  #choice(word: 'if' | 'with'): Render {
    const condition = this.#pipeline();
    this.#done();
    if (word === 'with') this.#withs++;
    const [then, end] = this.#list();
    if (word === 'with') this.#withs--;
    const otherwise = this.#otherwise(word, end);
    return (scope) => {
      const value = condition(scope);
      if (!isTrue(value)) return otherwise(scope);
      return then(word === 'with' ? { ...scope, dot: value } : scope);
    };
  }

  #otherwise(word: string, end: string | undefined): Render {
    if (end === undefined) throw new RangeError(`{{ ${word} }} without {{ end }}`);
    if (end === 'end') return () => '';
    const next = this.#tokens[this.#token];
    if (next?.kind === 'word' && (next.text === 'if' || next.text === 'with')) {
      this.#token++;
      return this.#choice(next.text);
    }
    this.#done();
    const [render, last] = this.#list();
    if (last !== 'end') throw new RangeError(`{{ else }} without {{ end }}`);
    return render;
  }

  #pipeline(): Evaluate {
    const target = this.#target();
    let value = this.#command(undefined);
    while (this.#takes('|')) value = this.#command(value);
    if (target === undefined) return value;
    return (scope) => {
      const result = value(scope);
      scope.variables.set(target, result);
      return result;
    };
  }

  /** `$x :=` or `$x =`. */
  #target(): string | undefined {
    const [name, sign] = this.#tokens.slice(this.#token);
    if (name?.kind !== 'variable' || (sign?.text !== ':=' && sign?.text !== '=')) return undefined;
    if (sign.text === '=') this.#checkDeclared(name.text);
    this.#declared.add(name.text);
    this.#token += 2;
    return name.text;
  }

  /** Operands in sequence: the first one is called with the others, and with a pipe's value as the last. */
  #command(piped: Evaluate | undefined): Evaluate {
    const operands: Evaluate[] = [];
    for (;;) {
      const token = this.#tokens[this.#token];
      if (token === undefined || token.text === '|' || token.text === ')') break;
      operands.push(this.#operand(token));
    }
    const [first, ...args] = operands;
    if (first === undefined) throw new RangeError('a command is missing');
    const all = piped === undefined ? args : [...args, piped];
    return (scope) => {
      const value = first(scope);
      if (typeof value === 'function') return value(...all.map((argument) => argument(scope)));
      if (all.length > 0) throw new TemplateError(`${printed(value)} is no function`);
      return value;
    };
  }

  #operand(token: ActionToken): Evaluate {
    this.#token++;
    switch (token.kind) {
      case 'string':
        return constant(unquoted(token.text));
      case 'number':
        return constant(Number(token.text));
      case 'word':
        return constant(wordValue(token.text));
      case 'dot':
        return ({ dot }) => dot;
      case 'field':
        return this.#fields(this.#rootField(token.text.slice(1)));
      case 'variable':
        return this.#fields(this.#variable(token.text));
      case 'sign':
        return this.#parenthesis(token);
    }
  }

  #parenthesis(token: ActionToken): Evaluate {
    if (token.text !== '(')
      throw new RangeError(`"${token.text}" in a place where a value belongs`);
    const value = this.#pipeline();
    if (!this.#takes(')')) throw new RangeError('a parenthesis is not closed');
    return this.#fields(value);
  }

  #rootField(field: string): Evaluate {
    if (this.#withs > 0) return (scope) => fieldOf(scope.dot, field);
    this.#checkKnown(field);
    return ({ root }) => root.get(field);
  }

  #variable(name: string): Evaluate {
    if (name !== '$') {
      this.#checkDeclared(name);
      return ({ variables }) => variables.get(name);
    }
    const next = this.#tokens[this.#token];
    if (next?.kind === 'field' && next.isJoined) this.#checkKnown(next.text.slice(1));
    return ({ root }) => root;
  }

  #fields(start: Evaluate): Evaluate {
    let value = start;
    for (;;) {
      const token = this.#tokens[this.#token];
      if (token?.kind !== 'field' || !token.isJoined) return value;
      this.#token++;
      const held = value;
      const field = token.text.slice(1);
      value = (scope) => fieldOf(held(scope), field);
    }
  }

  #checkKnown(field: string): void {
    if (!this.#known.includes(field))
      throw new RangeError(`.${field} is not supported: there are .${this.#known.join(', .')}`);
    this.fields.add(field);
  }

  #checkDeclared(name: string): void {
    if (!this.#declared.has(name)) throw new RangeError(`variable ${name} is not declared`);
  }

  #takes(sign: string): boolean {
    const takes = this.#tokens[this.#token]?.text === sign;
    if (takes) this.#token++;
    return takes;
  }

  #done(): void {
    const token = this.#tokens[this.#token];
    if (token !== undefined) throw new RangeError(`"${token.text}" is not allowed there`);
  }
}

const joined =
  (pieces: readonly Render[]): Render =>
  (scope) =>
    pieces.map((piece) => piece(scope)).join('');

const constant =
  (value: Value): Evaluate =>
  () =>
    value;

function wordValue(word: string): Value {
  if (word === 'true' || word === 'false') return word === 'true';
  const found = FUNCTIONS.get(word);
  if (found !== undefined) return found;
  const reason = BEYOND.includes(word) ? 'is not supported' : 'is no function';
  throw new RangeError(
    `"${word}" ${reason}: there are if, with, ${[...FUNCTIONS.keys()].join(', ')}`,
  );
}

/** A missing key of a map returns the empty text, as in Go's map of strings. */
function fieldOf(value: Value, field: string): Value {
  if (value instanceof Map) return (value as ReadonlyMap<string, Value>).get(field) ?? '';
  throw new TemplateError(`.${field} of what has no fields`);
}

function unquoted(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new RangeError(`the string ${text} has an escape that is not understood`);
  }
}
