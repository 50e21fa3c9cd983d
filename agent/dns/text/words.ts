/** Words of a record in presentation format (RFC 1035 §5.1): blanks, quotes, parentheses, comments, escapes. */

/** One word. Quotes matter: `\#` in quotes is a text, not the sign of RFC 3597 §5. */
export interface Word {
  /** As written, with escapes but without quotes: names are parsed from this form. */
  readonly raw: string;
  readonly isQuoted: boolean;
}

const BLANK = /[\s()]+|;[^\n]*/y;
/** A quoted string, or a run of characters that may end in `="…"` (SvcParams, RFC 9460 §2.1). */
const WORD = /"((?:[^"\\]|\\.)*)"|((?:[^\s"();\\]|\\.)+)(?:(?<==)"((?:[^"\\]|\\.)*)")?/sy;

/** Throws RangeError for an unfinished quote or escape. */
export function wordsOf(text: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < text.length) {
    if (next(BLANK) !== null) continue;
    const match = next(WORD);
    if (match === null) throw new RangeError(`a quote or escape without its end in "${text}"`);
    const [, quoted, plain = '', value = ''] = match;
    words.push({ raw: quoted ?? plain + value, isQuoted: quoted !== undefined });
  }
  return words;
}

const BACKSLASH = 0x5c;

/** Bytes of a word: UTF-8, with `\X` and `\DDD` decoded. Throws RangeError for an escape over 255. */
export function bytesOf({ raw }: Word): Buffer {
  if (!raw.includes('\\')) return Buffer.from(raw, 'utf8');
  const source = Buffer.from(raw, 'utf8');
  const bytes: number[] = [];
  for (let at = 0; at < source.length; at++) {
    const byte = source[at] as number;
    if (byte !== BACKSLASH) {
      bytes.push(byte);
      continue;
    }
    const digits = source.toString('latin1', at + 1, at + 4);
    const isNumber = /^\d{3}$/.test(digits);
    if (isNumber && Number(digits) > 255) throw new RangeError(`escape \\${digits} over 255`);
    bytes.push(isNumber ? Number(digits) : (source[at + 1] as number));
    at += isNumber ? 3 : 1;
  }
  return Buffer.from(bytes);
}
