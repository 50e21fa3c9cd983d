/** The words of a rule in nft's language, read from the left. */
import { NodensError } from '../../../../agent/base/errors.ts';

/** Thrown for a phrase that is not known here. */
export class UnknownPhraseError extends NodensError {
  constructor(words: readonly string[]) {
    super('NODENS_PHRASE', `not a phrase of nodens's own rules: ${words.slice(0, 6).join(' ')}`);
  }
}

/** A word is what blanks, braces and operators separate; each of these is one itself. */
export class Words {
  readonly #words: string[];
  #at = 0;

  constructor(text: string) {
    this.#words = text.match(/[(){},|&.]|[^\s(){},|&]+/g) ?? [];
  }

  get isEnd(): boolean {
    return this.#at === this.#words.length;
  }

  /** The next word, which is not taken. */
  get first(): string | undefined {
    return this.#words[this.#at];
  }

  /** Takes a word. Throws `UnknownPhraseError` at the end. */
  next(): string {
    const word = this.first;
    if (word === undefined) throw this.unknown();
    this.#at++;
    return word;
  }

  /** Takes these words. Throws `UnknownPhraseError` where others are there. */
  expect(...expected: readonly string[]): void {
    for (const one of expected) if (this.next() !== one) throw this.unknown();
  }

  /** Takes `{ a, b }` and returns what is inside. */
  between(open: string, close: string, separator: string): string[] {
    this.expect(open);
    const found: string[] = [];
    for (let word = this.next(); word !== close; word = this.next())
      if (word !== separator) found.push(word);
    return found;
  }

  /** Says that the word taken last, or the end, is not as it should be. */
  unknown(): UnknownPhraseError {
    return new UnknownPhraseError(this.#words.slice(Math.max(0, this.#at - 1)));
  }
}
