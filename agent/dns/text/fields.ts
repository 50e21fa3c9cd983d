/** Fields of RDATA in presentation format: each consumes words from the front of a list and returns its bytes. */
import { addressBytes, familyOf } from '../../base/address.ts';
import { putU16, putU32 } from '../header.ts';
import { typeNumber } from '../iana.ts';
import { nameFromText } from '../name.ts';
import { bytesOf, type Word } from './words.ts';

/** Words of a record that are not consumed yet. */
export type Words = Word[];

/** Consumes what it needs from the front of `words`. Throws RangeError if they do not match. */
export type Field = (words: Words) => Uint8Array;

/** Throws RangeError if no word is left. */
export function nextWord(words: Words): Word {
  const word = words.shift();
  if (word === undefined) throw new RangeError('the record has too few fields');
  return word;
}

/** A field of one word. */
const oneWord =
  (read: (text: string) => Uint8Array): Field =>
  (words) =>
    read(nextWord(words).raw);

/** A domain name, with or without its trailing dot. */
export const name: Field = oneWord(nameFromText);

/** A decimal number as `bytes` bytes in network order. Throws RangeError if it is none or does not fit. */
export function unsigned(text: string, bytes: number): Uint8Array {
  const limit = 1n << BigInt(8 * bytes);
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= limit)
    throw new RangeError(`"${text}" is no number of ${bytes} bytes`);
  const hex = BigInt(text)
    .toString(16)
    .padStart(2 * bytes, '0');
  return Buffer.from(hex, 'hex');
}

/** A decimal number, one byte. */
export const u8: Field = oneWord((text) => unsigned(text, 1));
/** A decimal number, two bytes. */
export const u16: Field = oneWord((text) => unsigned(text, 2));
/** A decimal number, four bytes. */
export const u32: Field = oneWord((text) => unsigned(text, 4));
/** A decimal number, eight bytes. */
export const u64: Field = oneWord((text) => unsigned(text, 8));

/** A number of one or two bytes that may also be written as a name. */
export function mnemonic(bytes: 1 | 2, numbers: Readonly<Record<string, number>>): Field {
  return oneWord((text) => {
    const upper = text.toUpperCase();
    const known = Object.hasOwn(numbers, upper) ? String(numbers[upper]) : text;
    return unsigned(known, bytes);
  });
}

/** A type by name or as TYPE123 (RFC 3597 §5). */
export function typeOf(text: string): number {
  const type = typeNumber(text);
  if (type === undefined) throw new RangeError(`"${text}" is no record type`);
  return type;
}

/** A type as in `typeOf`, two bytes. */
export const typeField: Field = oneWord((text) => unsigned(String(typeOf(text)), 2));

/** An address of `family`, without zone. The field throws RangeError for anything else. */
export function address(family: 4 | 6): Field {
  return oneWord((text) => {
    if (familyOf(text) !== family || text.includes('%'))
      throw new RangeError(`"${text}" is no IPv${family} address`);
    return addressBytes(text);
  });
}

/** A character-string (RFC 1035 §3.3). */
export const text: Field = (words) => {
  const bytes = bytesOf(nextWord(words));
  if (bytes.length > 255) throw new RangeError('a string of over 255 bytes');
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
};

/** All remaining words, at least one. */
export const texts: Field = (words) => {
  const all = [text(words)];
  while (words.length > 0) all.push(text(words));
  return Buffer.concat(all);
};

/** A string without its length, up to the end of the RDATA. */
export const bareText: Field = (words) => bytesOf(nextWord(words));

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3_600,
  d: 86_400,
  w: 604_800,
};

/** `60`, `1h30m` or `1w`, as in zone files; at most what RFC 2181 §8 allows. */
export function seconds(word: string): number {
  if (!/^(\d+[smhdw])*\d*$/i.test(word)) throw new RangeError(`"${word}" is no TTL`);
  let total = 0;
  for (const [, digits, unit = 's'] of word.toLowerCase().matchAll(/(\d+)([smhdw])?/g))
    total += Number(digits) * (UNIT_SECONDS[unit] as number);
  if (total > 0x7fffffff) throw new RangeError(`"${word}" is too long a TTL`);
  return total;
}

/** A time as in `seconds`, four bytes. */
export const interval: Field = oneWord((word) => unsigned(String(seconds(word)), 4));

/** `YYYYMMDDHHmmSS` or seconds since 1970 (RFC 4034 §3.2). */
export const moment: Field = oneWord((word) => {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(word)?.slice(1);
  if (parts === undefined) return unsigned(word, 4);
  const iso = `${parts.slice(0, 3).join('-')}T${parts.slice(3).join(':')}Z`;
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) throw new RangeError(`"${word}" is no time`);
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, (ms / 1_000) >>> 0);
  return bytes;
});

/** Throws RangeError for an odd number of digits and for other characters. An empty text is no bytes. */
export function hexBytes(digits: string): Buffer {
  if (!/^([\da-f]{2})*$/i.test(digits))
    throw new RangeError(`"${digits}" is no whole bytes in hex`);
  return Buffer.from(digits, 'hex');
}

/** Throws RangeError for text that is not base64 with its padding. An empty text is no bytes. */
export function base64Bytes(digits: string): Buffer {
  if (!/^(?:[\w+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?$/.test(digits) || digits.includes('_'))
    throw new RangeError(`"${digits.slice(0, 40)}" is not base64`);
  return Buffer.from(digits, 'base64');
}

/** All remaining words, which may be split by blanks; at least one byte unless `mayBeEmpty`. */
const restOf =
  (read: (digits: string) => Buffer, mayBeEmpty = false): Field =>
  (words) => {
    const bytes = read(words.map(({ raw }) => raw).join(''));
    words.length = 0;
    if (bytes.length === 0 && !mayBeEmpty) throw new RangeError('the record has too few fields');
    return bytes;
  };

/** Hex digits up to the end of the record, at least one byte. */
export const hexRest = restOf(hexBytes);
/** base64 up to the end of the record, at least one byte. */
export const base64Rest = restOf(base64Bytes);
/** base64 up to the end of the record, possibly nothing. */
export const base64OrNothing = restOf(base64Bytes, true);

/** Bytes after a length byte. */
export function withLength(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 255) throw new RangeError('a field of over 255 bytes');
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

/** Hex with its length, `-` for none (RFC 5155 §3.3). */
export const salt: Field = oneWord((word) => withLength(hexBytes(word === '-' ? '' : word)));

const BASE32_HEX = '0123456789ABCDEFGHIJKLMNOPQRSTUV';

/** Unpadded base32hex with its length (RFC 5155 §3.3, RFC 4648 §7). */
export const base32Hash: Field = oneWord((word) => {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const digit of word.toUpperCase()) {
    const value = BASE32_HEX.indexOf(digit);
    if (value < 0) throw new RangeError(`"${word}" is not base32hex`);
    held = (held << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(held >> bits);
    held &= (1 << bits) - 1;
  }
  if (bits >= 5 || held !== 0) throw new RangeError(`"${word}" is not base32hex`);
  return withLength(Uint8Array.from(bytes));
});

/** Types as a bitmap: window, length and bits of each block of 256 (RFC 4034 §4.1.2). */
export const typeBitmap: Field = (words) => {
  const windows = new Map<number, Uint8Array>();
  for (const { raw } of words.splice(0)) {
    const type = typeOf(raw);
    const bits = windows.get(type >> 8) ?? new Uint8Array(32);
    const at = (type & 0xff) >> 3;
    bits[at] = (bits[at] as number) | (0x80 >> (type & 7));
    windows.set(type >> 8, bits);
  }
  const parts = [...windows]
    .sort(([a], [b]) => a - b)
    .map(([window, bits]) => {
      const length = bits.findLastIndex((byte) => byte !== 0) + 1;
      return Buffer.concat([Uint8Array.of(window, length), bits.subarray(0, length)]);
    });
  return Buffer.concat(parts);
};

/** Groups of hex digits with a separator between them: `00-00-5e-00-53-2a`, `14:4fff:ff20:ee64`. */
export function groups(count: number, digits: number, separator: string): Field {
  return oneWord((word) => {
    const parts = word.split(separator);
    const isWhole = parts.every((part) => /^[\da-f]+$/i.test(part) && part.length <= digits);
    if (parts.length !== count || !isWhole)
      throw new RangeError(`"${word}" is not ${count} groups of ${digits} hex digits`);
    return hexBytes(parts.map((part) => part.padStart(digits, '0')).join(''));
  });
}

/** The lower 16 bits of `value` as two new bytes in network order. */
export function put16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  putU16(bytes, 0, value);
  return bytes;
}
