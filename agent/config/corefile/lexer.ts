/**
 * Splits a Corefile's text into words and braces. The rules are CoreDNS's: words end at white space, `"` opens a quoted
 * word only at a word's start, `#` outside quotes starts a comment even inside a word, carriage returns are ignored.
 */
import { ConfigError } from '../../base/errors.ts';
import type { Token } from './types.ts';

/** A token with additional facts for the parser. Only an unquoted brace on its own is structural. */
export interface Lexeme extends Token {
  readonly kind: 'word' | 'open' | 'close';
  /** Whether a line starts here: the first word of a line of text, or the first after an opening brace. */
  readonly first: boolean;
}

/** Unicode white space without the line feed, which also counts lines. */
const SPACE = String.raw`\t\v\f \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const BLANK = new RegExp(`[${SPACE}\\r]+|#[^\\n]*`, 'y');
const WORD = new RegExp(`[^${SPACE}\\r\\n#][^${SPACE}\\n#]*`, 'y');

/** Words and braces of `text`, in order. Throws ConfigError for an unclosed quote or invalid UTF-8. */
export function lex(text: string, file: string): Lexeme[] {
  const lexemes: Lexeme[] = [];
  let line = 1;
  let first = true;
  let at = text.startsWith('\ufeff') ? 1 : 0;
  const push = (word: string, quoted: boolean): void => {
    if (word.includes(NOT_UTF8)) throw new ConfigError({ file, line }, notUtf8(word));
    const kind = quoted ? 'word' : kindOf(word);
    lexemes.push({ text: word, place: { file, line }, quoted, kind, first });
    first = kind === 'open';
  };
  while (at < text.length) {
    const char = text[at] as string;
    if (char === '\n') {
      line++;
      first = true;
      at++;
    } else if (char === '"') {
      const end = closingQuote(text, at + 1);
      if (end === -1) throw new ConfigError({ file, line }, 'this quote is never closed: add a "');
      const raw = text.slice(at + 1, end);
      push(raw.replaceAll('\\"', '"'), true);
      line += countLineFeeds(raw);
      at = end + 1;
    } else {
      const blank = matchAt(BLANK, text, at);
      if (blank !== undefined) {
        at += blank.length;
        continue;
      }
      const word = matchAt(WORD, text, at) as string;
      push(word.replaceAll('\r', ''), false);
      at += word.length;
    }
  }
  return lexemes;
}

/** Replaces invalid UTF-8 in texts. Comments may contain any bytes. */
const NOT_UTF8 = '\ufffd';

function notUtf8(word: string): string {
  return `"${word.slice(0, 40)}" contains bytes that are not UTF-8: save the file as UTF-8`;
}

function kindOf(word: string): Lexeme['kind'] {
  if (word === '{') return 'open';
  return word === '}' ? 'close' : 'word';
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Index of the quote that closes a quoted word; a backslash escapes the character after it. */
function closingQuote(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return -1;
}

function countLineFeeds(text: string): number {
  let count = 0;
  for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) count++;
  return count;
}
