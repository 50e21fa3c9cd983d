/** Environment references in Corefile words: `{%NAME%}` first, then `{$NAME}`, as in CoreDNS. */
import type { Place } from '../../base/errors.ts';
import type { Lexeme } from './lexer.ts';

/** Variables by name, in the form of `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `text` with every reference replaced. An undefined variable becomes the empty string and is passed to `onMissing`;
 * the result stays one word whatever the value.
 */
export function substitute(
  text: string,
  env: Environment,
  onMissing: (name: string) => void,
): string {
  const value = (name: string): string => {
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    if (found === undefined) onMissing(name);
    return found ?? '';
  };
  return replaceReferences(replaceReferences(text, '{%', '%}', value), '{$', '}', value);
}

/** One pass from left to right; a reference without a name is left unchanged. */
function replaceReferences(
  text: string,
  open: string,
  close: string,
  value: (name: string) => string,
): string {
  let result = '';
  let at = 0;
  for (let start = text.indexOf(open); start !== -1; start = text.indexOf(open, at)) {
    const end = text.indexOf(close, start + open.length);
    if (end === -1) break;
    const name = text.slice(start + open.length, end);
    result +=
      name === '' ? text.slice(at, end + close.length) : text.slice(at, start) + value(name);
    at = end + close.length;
  }
  return result + text.slice(at);
}

/** References of a Corefile, and those of its variables that are not set. */
export class References {
  readonly #env: Environment;
  readonly #missing = new Map<string, { readonly place: Place; readonly names: Set<string> }>();

  constructor(env: Environment) {
    this.#env = env;
  }

  /** `lexeme` with every reference replaced; the same object if it has none. */
  fillIn(lexeme: Lexeme): Lexeme {
    const { place } = lexeme;
    const text = substitute(lexeme.text, this.#env, (name) => {
      const key = keyOf(place);
      const known = this.#missing.get(key) ?? { place, names: new Set() };
      this.#missing.set(key, known);
      known.names.add(name);
    });
    return text === lexeme.text ? lexeme : { ...lexeme, text };
  }

  /**
   * The import at `place` found a snippet: the author defined `(name-)` for `import name-{$VARIABLE}` without a value,
   * so that an unset variable is no mistake.
   */
  provideFor(place: Place): void {
    this.#missing.delete(keyOf(place));
  }

  /** Variables that are not set, with the first place of each line that names them. */
  *missing(): Iterable<{ readonly place: Place; readonly name: string }> {
    for (const { place, names } of this.#missing.values())
      for (const name of names) yield { place, name };
  }
}

function keyOf({ file, line }: Place): string {
  return `${file}:${line}`;
}
