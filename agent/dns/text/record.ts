/** Resource records from presentation format (RFC 1035 §5.1): every type that has one, and RFC 3597 for the others. */
import { CLASS, classNumber, typeName, typeNumber } from '../iana.ts';
import { nameFromText } from '../name.ts';
import { hexBytes, seconds, type Words } from './fields.ts';
import { LAYOUTS } from './layouts.ts';
import { type Word, wordsOf } from './words.ts';

/** A record that was read from its presentation format. */
export interface TextRecord {
  /** Wire form, letter case as written. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array;
}

/** TTL of a record without one, seconds (CoreDNS's parser). */
const DEFAULT_TTL_SECONDS = 3_600;
/** Precedes RDATA of any type (RFC 3597 §5). */
const GENERIC = '\\#';
/** RDLENGTH has two bytes. */
const MAX_RDATA_BYTES = 0xffff;

/**
 * `NAME [TTL] [CLASS] TYPE RDATA`; names are complete with or without a trailing dot. Parentheses and comments as in
 * zone files. RDATA in the type's own format, or that of RFC 3597 §5 (`\# 4 c0000201`). Throws RangeError for anything
 * else.
 */
export function recordFromText(text: string): TextRecord {
  const [name, ...words] = wordsOf(text);
  if (name === undefined) throw new RangeError('an empty record');
  const owner = nameFromText(name.raw);
  let ttlSeconds = DEFAULT_TTL_SECONDS;
  let qclass: number = CLASS.IN;
  for (;;) {
    const raw = words.shift()?.raw;
    if (raw === undefined) throw new RangeError(`"${text}" has no record type`);
    const [type, named] = [typeNumber(raw), classNumber(raw)];
    if (/^\d/.test(raw)) ttlSeconds = seconds(raw);
    else if (named !== undefined && raw.toUpperCase() !== 'ANY') qclass = named;
    else if (type === undefined) throw new RangeError(`"${raw}" is no record type`);
    else return { name: owner, type, class: qclass, ttlSeconds, rdata: rdataOf(type, words) };
  }
}

/** Whether RDATA of `type` has its own format; otherwise it is written as `\# LENGTH HEX`. */
export function isWritable(type: number): boolean {
  return LAYOUTS.has(type);
}

function rdataOf(type: number, words: Words): Uint8Array {
  const [first] = words;
  const rdata =
    first?.raw === GENERIC && !first.isQuoted
      ? genericRdata(words.slice(1))
      : ownRdata(type, words);
  if (rdata.length > MAX_RDATA_BYTES) throw new RangeError('a record of over 65535 bytes');
  return rdata;
}

function ownRdata(type: number, words: Words): Uint8Array {
  const fields = LAYOUTS.get(type);
  if (fields === undefined) throw notWritable(type);
  const rdata = Buffer.concat(fields.map((field) => field(words)));
  const [extra] = words;
  if (extra !== undefined) throw new RangeError(`"${extra.raw}" is one field too many`);
  return rdata;
}

/** For a type whose RDATA has no format of its own. */
export function notWritable(type: number): RangeError {
  return new RangeError(
    `records of type ${typeName(type)} are written as ${GENERIC} LENGTH HEX (RFC 3597)`,
  );
}

function genericRdata([length, ...hex]: readonly Word[]): Uint8Array {
  const bytes = hexBytes(hex.map(({ raw }) => raw).join(''));
  if (!/^\d{1,5}$/.test(length?.raw ?? '') || Number(length?.raw) !== bytes.length)
    throw new RangeError(`${GENERIC} needs the number of bytes, and as many in hex`);
  return bytes;
}
