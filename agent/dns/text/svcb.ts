/** SvcParams of SVCB and HTTPS records (RFC 9460 §2.1, §7, §8 and appendix A; RFC 9461; RFC 9540). */
import { addressBytes, familyOf } from '../../base/address.ts';
import { base64Bytes, type Field, put16, unsigned, withLength } from './fields.ts';
import { bytesOf, type Word } from './words.ts';

const KEYS: Readonly<Record<string, number>> = {
  mandatory: 0,
  alpn: 1,
  'no-default-alpn': 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
  ohttp: 8,
};
const MANDATORY = 0;
const ALPN = 1;
const NO_DEFAULT_ALPN = 2;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

function keyNumber(text: string): number {
  const known = Object.hasOwn(KEYS, text) ? KEYS[text] : undefined;
  const digits = /^key(0|[1-9]\d{0,4})$/.exec(text)?.[1];
  const number = known ?? Number(digits ?? Number.NaN);
  if (!(number < 65_535)) throw new RangeError(`"${text}" is no SvcParamKey`);
  return number;
}

type ReadValue = (value: Buffer) => Uint8Array;

/** By the key as written: `key4` is the number with an arbitrary value. */
const VALUES: Readonly<Record<string, ReadValue>> = {
  mandatory: mandatoryKeys,
  alpn: (value) => Buffer.concat(listOf(value).map(withLength)),
  'no-default-alpn': nothing,
  port: (value) => unsigned(value.toString('latin1'), 2),
  ipv4hint: (value) => addresses(value, 4),
  ech: (value) => base64Bytes(value.toString('latin1')),
  ipv6hint: (value) => addresses(value, 6),
  ohttp: nothing,
};

function nothing(value: Buffer): Uint8Array {
  if (value.length > 0) throw new RangeError('a SvcParam that takes no value has one');
  return value;
}

/** A value-list: items between commas; `\,` and `\\` within one (RFC 9460 appendix A.1). */
function listOf(value: Buffer): Buffer[] {
  const items: Buffer[] = [];
  let item: number[] = [];
  for (let at = 0; at < value.length; at++) {
    const byte = value[at] as number;
    if (byte === COMMA) {
      items.push(Buffer.from(item));
      item = [];
    } else item.push(byte === BACKSLASH ? (value[++at] ?? byte) : byte);
  }
  items.push(Buffer.from(item));
  if (items.some(({ length }) => length === 0)) throw new RangeError('a list with an empty item');
  return items;
}

function addresses(value: Buffer, family: 4 | 6): Uint8Array {
  const all = listOf(value).map((item) => item.toString('latin1'));
  const stranger = all.find((text) => familyOf(text) !== family || text.includes('%'));
  if (stranger !== undefined) throw new RangeError(`"${stranger}" is no IPv${family} address`);
  return Buffer.concat(all.map(addressBytes));
}

function mandatoryKeys(value: Buffer): Uint8Array {
  const keys = listOf(value).map((item) => keyNumber(item.toString('latin1')));
  if (keys.includes(MANDATORY) || new Set(keys).size < keys.length)
    throw new RangeError('mandatory names itself, or a key twice');
  return Buffer.concat(keys.sort((a, b) => a - b).map(put16));
}

function paramOf(word: Word): [key: number, value: Uint8Array] {
  const { raw } = word;
  const equals = raw.indexOf('=');
  const key = equals < 0 ? raw : raw.slice(0, equals);
  const value = bytesOf({ ...word, raw: equals < 0 ? '' : raw.slice(equals + 1) });
  const read = Object.hasOwn(VALUES, key) ? (VALUES[key] as ReadValue) : undefined;
  return [keyNumber(key), read === undefined ? value : read(value)];
}

/** All remaining words, ordered by key, each key once. */
export const svcParams: Field = (words) => {
  const params = new Map<number, Uint8Array>();
  for (const word of words.splice(0)) {
    const [key, value] = paramOf(word);
    if (params.has(key)) throw new RangeError(`"${word.raw}": the key is there already`);
    params.set(key, value);
  }
  if (params.has(NO_DEFAULT_ALPN) && !params.has(ALPN))
    throw new RangeError('no-default-alpn needs alpn');
  const mandatory = params.get(MANDATORY) ?? new Uint8Array();
  for (let at = 0; at < mandatory.length; at += 2) {
    const key = ((mandatory[at] as number) << 8) | (mandatory[at + 1] as number);
    if (!params.has(key)) throw new RangeError(`mandatory names key${key}, which is not there`);
  }
  const parts = [...params]
    .sort(([a], [b]) => a - b)
    .flatMap(([key, value]) => [put16(key), put16(value.length), value]);
  return Buffer.concat(parts);
};
