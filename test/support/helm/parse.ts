/** Go templates as a tree: the part of the language that the chart of nodens uses. Throws Error for the rest. */
import { type Piece, pieces } from './lex.ts';

export type Term =
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  /** `.a.b` (root `.`), `$x.a` (root `$x`) or `(…).a` (root a pipeline). */
  | { readonly kind: 'path'; readonly root: string | Pipeline; readonly fields: readonly string[] }
  | { readonly kind: 'function'; readonly name: string };
/** Commands; each gets the result of the one before as its last argument. */
export type Pipeline = readonly (readonly Term[])[];

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'assign';
      readonly name: string;
      readonly isNew: boolean;
      readonly pipeline: Pipeline;
    }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly variables: readonly string[];
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

export interface Template {
  readonly nodes: readonly Node[];
  readonly defines: ReadonlyMap<string, readonly Node[]>;
}

/** `file` is for messages. */
export function parseTemplate(text: string, file: string): Template {
  return new Parser(pieces(text), file).template();
}

class Parser {
  readonly #pieces: readonly Piece[];
  readonly #file: string;
  readonly #defines = new Map<string, readonly Node[]>();
  #at = 0;

  constructor(found: readonly Piece[], file: string) {
    this.#pieces = found;
    this.#file = file;
  }

  template(): Template {
    const nodes = this.#nodes();
    if (this.#at < this.#pieces.length) this.#fail('an end without a beginning');
    return { nodes, defines: this.#defines };
  }

  #fail(reason: string): never {
    const piece = this.#pieces[Math.min(this.#at, this.#pieces.length - 1)];
    const line = piece?.kind === 'action' ? piece.line : '?';
    throw new Error(`${this.#file}:${line}: ${reason}`);
  }

  /** Up to an `end` or `else`, which stays. */
  #nodes(): Node[] {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#at]; piece !== undefined; piece = this.#pieces[this.#at]) {
      if (piece.kind === 'text') nodes.push(piece);
      else {
        const [word] = piece.words;
        if (word === 'end' || word === 'else') break;
        const node = this.#action(piece.words);
        if (node !== undefined) nodes.push(node);
      }
      this.#at++;
    }
    return nodes;
  }

  #action(words: readonly string[]): Node | undefined {
    const [first = ''] = words;
    if (first === 'define') {
      const name = JSON.parse(words[1] ?? '') as string;
      this.#at++;
      this.#defines.set(name, this.#nodes());
      this.#expectEnd();
      return undefined;
    }
    if (first === 'if' || first === 'with' || first === 'range')
      return this.#block(first, words.slice(1));
    if (first.startsWith('$') && (words[1] === ':=' || words[1] === '='))
      return {
        kind: 'assign',
        name: first,
        isNew: words[1] === ':=',
        pipeline: this.#pipeline(words.slice(2)),
      };
    return { kind: 'output', pipeline: this.#pipeline(words) };
  }

  #block(kind: 'if' | 'with' | 'range', words: readonly string[]): Node {
    const assigned = words.indexOf(':=');
    const variables = words.slice(0, Math.max(0, assigned)).filter((word) => word !== ',');
    const pipeline = this.#pipeline(words.slice(assigned + 1));
    this.#at++;
    const body = this.#nodes();
    let otherwise: readonly Node[] = [];
    const piece = this.#pieces[this.#at];
    if (piece?.kind === 'action' && piece.words[0] === 'else') {
      if (piece.words.length > 1) this.#fail('else with a condition is not known here');
      this.#at++;
      otherwise = this.#nodes();
    }
    this.#expectEnd();
    return { kind, variables, pipeline, body, otherwise };
  }

  #expectEnd(): void {
    const piece = this.#pieces[this.#at];
    if (piece?.kind !== 'action' || piece.words[0] !== 'end') this.#fail('no end');
  }

  #pipeline(words: readonly string[]): Pipeline {
    const rest = [...words];
    const commands = this.#commands(rest);
    if (rest.length > 0) this.#fail(`"${rest.join(' ')}" is left over`);
    return commands;
  }

  #commands(rest: string[]): Pipeline {
    const commands: Term[][] = [[]];
    while (rest.length > 0 && rest[0] !== ')') {
      const word = rest.shift() as string;
      if (word === '|') commands.push([]);
      else commands.at(-1)?.push(this.#term(word, rest));
    }
    return commands;
  }

  #term(word: string, rest: string[]): Term {
    if (word === '(') {
      const root = this.#commands(rest);
      if (rest.shift() !== ')') this.#fail('no closing parenthesis');
      return { kind: 'path', root, fields: [] };
    }
    if (word.startsWith('"')) return { kind: 'literal', value: JSON.parse(word) as string };
    if (/^-?\d+$/.test(word)) return { kind: 'literal', value: Number(word) };
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' };
    if (word.startsWith('.') || word.startsWith('$')) {
      const [root = '', ...fields] = word.split('.');
      return { kind: 'path', root: root === '' ? '.' : root, fields: fields.filter(Boolean) };
    }
    return { kind: 'function', name: word };
  }
}
