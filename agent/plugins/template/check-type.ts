/** The type of a record that is made from actions, if the text determines it. */
import { classNumber, TYPE, typeNumber } from '../../dns/iana.ts';
import { isWritable, notWritable } from '../../dns/text/record.ts';

/** Replaces an action while words are parsed. */
const ACTION = '\u0001';
/** Replaces `{{ .Type }}`. */
const OWN_TYPE = '\u0002';
const CONTROL = /\{\{-?\s*(if|else|with|end|\$)/;
/** Precedes data of any type (RFC 3597 §5). */
const GENERIC = '\\#';

/**
 * Throws RangeError if every record that `text` makes has a type that cannot be written. `asked` is the type of the
 * template. A type that depends on values is checked at run time.
 */
export function checkType(text: string, asked: number): void {
  if (CONTROL.test(text)) return;
  const words = text
    .replace(/\{\{-?\s*\.Type\s*-?\}\}/g, OWN_TYPE)
    .replace(/\{\{.*?\}\}/gs, ACTION)
    .trim()
    .split(/\s+/);
  for (const [at, word] of words.entries()) {
    if (at === 0 || /^\d/.test(word) || word.includes(ACTION)) continue;
    if (classNumber(word) !== undefined && word.toUpperCase() !== 'ANY') continue;
    const type = word === OWN_TYPE ? asked : typeNumber(word);
    if (type === undefined || (word === OWN_TYPE && asked === TYPE.ANY)) return;
    const data = words[at + 1] ?? '';
    if (isWritable(type) || data === GENERIC || data.includes(ACTION)) return;
    throw notWritable(type);
  }
}
