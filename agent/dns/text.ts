/** Resource records from presentation format (RFC 1035 §5.1), for the types people write by hand. */
import { addressBytes, familyOf } from '../base/address.ts';
import { characterStrings } from './build.ts';
import { putU16, putU32 } from './header.ts';
import { CLASS, classNumber, TYPE, typeNumber } from './iana.ts';
import { nameFromText } from './name.ts';

export interface TextRecord {
  /** Wire form, letter case as written. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array;
}

/** TTL of a record that says none, seconds (the peer's parser). */
const DEFAULT_TTL_SECONDS = 3_600;

/**
 * `NAME [TTL] [CLASS] TYPE RDATA`; names are complete with or without a trailing dot. Parentheses and comments as in
 * zone files. RDATA of other types in the form of RFC 3597 §5 (`\# 4 c0000201`). Throws RangeError for anything else.
 */
export function recordFromText(text: string): TextRecord {
  const [name, ...rest] = wordsOf(text);
  if (name === undefined) throw new RangeError('an empty record');
  let ttlSeconds = DEFAULT_TTL_SECONDS;
  let qclass: number = CLASS.IN;
  for (;;) {
    const word = rest.shift();
    if (word === undefined) throw new RangeError(`"${text}" has no record type`);
    const [type, named] = [typeNumber(word), classNumber(word)];
    if (/^\d/.test(word)) ttlSeconds = seconds(word);
    else if (named !== undefined && word.toUpperCase() !== 'ANY') qclass = named;
    else if (type === undefined) throw new RangeError(`"${word}" is no record type`);
    else
      return {
        name: nameFromText(name),
        type,
        class: qclass,
        ttlSeconds,
        rdata: rdataOf(type, rest),
      };
  }
}

const WORD = /"((?:[^"\\]|\\.)*)"|;.*|[()]|((?:[^\s"();\\]|\\.)+)|("|\\$)/gs;

/** Words and quoted strings; escapes stay in words, where names need them, and are undone in strings. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [, quoted, word, stray] of text.matchAll(WORD)) {
    if (stray !== undefined) throw new RangeError(`a quote or escape without its end in "${text}"`);
    if (quoted !== undefined) words.push(quoted.replace(/\\(\d{3}|.)/gs, unescaped));
    else if (word !== undefined) words.push(word);
  }
  return words;
}

function unescaped(_: string, what: string): string {
  return what.length === 3 ? String.fromCharCode(Number(what)) : what;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3_600,
  d: 86_400,
  w: 604_800,
};

/** `60`, `1h30m` or `1w`, as zone files have them; at most what RFC 2181 §8 allows. */
function seconds(word: string): number {
  if (!/^(\d+[smhdw])*\d*$/i.test(word)) throw new RangeError(`"${word}" is no TTL`);
  let total = 0;
  for (const [, digits, unit = 's'] of word.toLowerCase().matchAll(/(\d+)([smhdw])?/g))
    total += Number(digits) * (UNIT_SECONDS[unit] as number);
  if (total > 0x7fffffff) throw new RangeError(`"${word}" is too long a TTL`);
  return total;
}

type Field = (word: string) => Uint8Array;

const name: Field = (word) => nameFromText(word);
const text: Field = (word) => characterStrings([word]);
const interval: Field = (word) => number(4)(String(seconds(word)));

function number(octets: 1 | 2 | 4): Field {
  return (word) => {
    const value = Number(word);
    if (!/^\d+$/.test(word) || value >= 2 ** (8 * octets))
      throw new RangeError(`"${word}" is no number of ${octets} octets`);
    const bytes = new Uint8Array(octets);
    if (octets === 1) bytes[0] = value;
    else if (octets === 2) putU16(bytes, 0, value);
    else putU32(bytes, 0, value);
    return bytes;
  };
}

function address(family: 4 | 6): Field {
  return (word) => {
    if (familyOf(word) !== family) throw new RangeError(`"${word}" is no IPv${family} address`);
    return addressBytes(word);
  };
}

const LAYOUTS: ReadonlyMap<number, readonly Field[]> = new Map([
  [TYPE.A, [address(4)]],
  [TYPE.AAAA, [address(6)]],
  ...[TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.DNAME].map((type): [number, Field[]] => [type, [name]]),
  [TYPE.MX, [number(2), name]],
  [TYPE.SRV, [number(2), number(2), number(2), name]],
  [TYPE.SOA, [name, name, number(4), interval, interval, interval, interval]],
  [TYPE.HINFO, [text, text]],
  [TYPE.NAPTR, [number(2), number(2), text, text, text, name]],
  [TYPE.CAA, [number(1), text, (word) => Buffer.from(word, 'utf8')]],
]);

function rdataOf(type: number, words: readonly string[]): Uint8Array {
  if (words[0] === '\\#') return unknownRdata(words.slice(1));
  if (type === TYPE.TXT || type === TYPE.SPF) {
    if (words.length === 0) throw new RangeError('a text record without text');
    return characterStrings(words);
  }
  const fields = LAYOUTS.get(type);
  if (fields === undefined)
    throw new RangeError('records of this type must be written as \\# LENGTH HEX (RFC 3597)');
  if (fields.length !== words.length)
    throw new RangeError(`the record needs ${fields.length} fields, not ${words.length}`);
  return Buffer.concat(fields.map((field, at) => field(words[at] as string)));
}

function unknownRdata([length, ...hex]: readonly string[]): Uint8Array {
  const digits = hex.join('');
  if (!/^([\da-f]{2})*$/i.test(digits) || Number(length) !== digits.length / 2)
    throw new RangeError('\\# needs the number of octets, and as many in hex');
  return Buffer.from(digits, 'hex');
}
