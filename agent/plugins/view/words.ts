/** Words of an expression. */

/** One word. A `text` is without its quotes and escapes; an `end` follows the last word. */
export interface Word {
  readonly kind: 'text' | 'number' | 'name' | 'sign' | 'end';
  readonly text: string;
}

const PATTERN =
  /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`([^`]*)`|(&&|\|\||[=!<>]=|[-!<>+*/%(),[\]]))/y;

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** Throws RangeError at the first character that starts no word. */
export function wordsOf(text: string): Word[] {
  const words: Word[] = [];
  const whole = text.trimEnd();
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < whole.length) {
    const from = PATTERN.lastIndex;
    const match = PATTERN.exec(whole);
    if (match === null)
      throw new RangeError(`nothing begins with "${whole.slice(from).trimStart().slice(0, 12)}"`);
    words.push(wordOf(match));
  }
  words.push({ kind: 'end', text: 'the end' });
  return words;
}

function wordOf([, number, name, single, double, raw, sign]: RegExpExecArray): Word {
  if (number !== undefined) return { kind: 'number', text: number };
  if (name !== undefined) return { kind: 'name', text: name };
  if (sign !== undefined) return { kind: 'sign', text: sign };
  if (raw !== undefined) return { kind: 'text', text: raw };
  return { kind: 'text', text: withoutEscapes(single ?? (double as string)) };
}

function withoutEscapes(text: string): string {
  return text.replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char);
}
