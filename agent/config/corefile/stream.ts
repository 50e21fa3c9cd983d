/** The words still to be parsed, with imported words in front. */
import { ConfigError, type Place } from '../../base/errors.ts';
import type { Lexeme } from './lexer.ts';

/** A run of words from one file or snippet. `importer` is the source whose import included it. */
export interface Source {
  readonly origin: string;
  readonly lexemes: readonly Lexeme[];
  readonly importer: Source | undefined;
  at: number;
}

/** Limits how much nested imports may multiply. */
const MAX_LEXEMES = 500_000;

/** One sequence of words, from a text and everything it imports. */
export class LexemeStream {
  readonly #stack: Source[] = [];
  #current: Source;
  #total = 0;

  constructor(origin: string, lexemes: readonly Lexeme[]) {
    this.#current = { origin, lexemes, importer: undefined, at: 0 };
    this.#stack.push(this.#current);
    this.#total = lexemes.length;
  }

  /** The source of the last lexeme from `next`. */
  get current(): Source {
    return this.#current;
  }

  /** The word that `next` returns; undefined at the end. */
  peek(): Lexeme | undefined {
    for (let top = this.#stack.at(-1); top !== undefined; top = this.#stack.at(-1)) {
      if (top.at < top.lexemes.length) return top.lexemes[top.at];
      this.#stack.pop();
    }
    return undefined;
  }

  /** Consumes and returns the next word; undefined at the end. */
  next(): Lexeme | undefined {
    const lexeme = this.peek();
    const top = this.#stack.at(-1);
    if (top === undefined) return undefined;
    top.at++;
    this.#current = top;
    return lexeme;
  }

  /**
   * Inserts imported words in front, in the given order, in place of the current source's import. Throws ConfigError at
   * `place` on a cycle and on too many words.
   */
  splice(imports: readonly { origin: string; lexemes: readonly Lexeme[] }[], place: Place): void {
    const importer = this.#current;
    for (const { origin, lexemes } of imports.toReversed()) {
      refuseCycle(origin, importer, place);
      this.#total += lexemes.length;
      if (this.#total > MAX_LEXEMES)
        throw new ConfigError(place, `imports expand to over ${MAX_LEXEMES} words: import less`);
      this.#stack.push({ origin, lexemes, importer, at: 0 });
    }
  }
}

function refuseCycle(origin: string, importer: Source, place: Place): void {
  const way = [origin];
  for (let at: Source | undefined = importer; at !== undefined; at = at.importer) {
    way.unshift(at.origin);
    if (at.origin !== origin) continue;
    throw new ConfigError(place, `import cycle: ${way.join(' imports ')}; remove one of them`);
  }
}
