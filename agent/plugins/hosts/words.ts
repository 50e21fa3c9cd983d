/** Parses words of hosts files, as bytes, into names and addresses in wire form. */
import { addressBytes, familyOf } from '../../base/address.ts';
import { lowerByte, MAX_LABEL_BYTES, MAX_NAME_BYTES } from '../../dns/name.ts';

const DOT = 0x2e;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
/** The first 96 bits of `::ffff:0:0/96` (RFC 4291 §2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/**
 * Writes the name in `word` into `out`, 256 bytes: wire form, lower case, escapes and trailing dot as in
 * `nameFromText`. Returns its length, or 0 if it is not a name (RFC 1035 §2.3.4, §5.1).
 */
export function writeName(word: Uint8Array, length: number, out: Uint8Array): number {
  if (length === 1 && word[0] === DOT) return writeRoot(out);
  let labelAt = 0;
  let to = 1;
  for (let i = 0; i < length; i++) {
    let byte = word[i] as number;
    if (byte === DOT) {
      if (!closeLabel(out, labelAt, to)) return 0;
      labelAt = to++;
      continue;
    }
    if (byte === BACKSLASH) {
      const escaped = escapedByte(word, i, length);
      if (escaped < 0) return 0;
      i += isDecimal(word, i, length) ? 3 : 1;
      byte = escaped;
    }
    // The byte after the last label is the root's.
    if (to >= MAX_NAME_BYTES - 1) return 0;
    out[to++] = lowerByte(byte);
  }
  if (to === labelAt + 1) to--;
  else if (!closeLabel(out, labelAt, to)) return 0;
  out[to] = 0;
  return to + 1;
}

function writeRoot(out: Uint8Array): number {
  out[0] = 0;
  return 1;
}

function closeLabel(out: Uint8Array, labelAt: number, end: number): boolean {
  const length = end - labelAt - 1;
  out[labelAt] = length;
  return length > 0 && length <= MAX_LABEL_BYTES && end < MAX_NAME_BYTES;
}

/** The byte for the escape at `at`; -1 if it is invalid. */
function escapedByte(word: Uint8Array, at: number, length: number): number {
  if (at + 1 >= length) return -1;
  if (!isDecimal(word, at, length)) return word[at + 1] as number;
  const [a, b, c] = [digit(word, at + 1), digit(word, at + 2), digit(word, at + 3)];
  const value = 100 * a + 10 * b + c;
  return value > 255 ? -1 : value;
}

function isDecimal(word: Uint8Array, at: number, length: number): boolean {
  return at + 3 < length && [1, 2, 3].every((i) => isDigit(digit(word, at + i)));
}

function digit(word: Uint8Array, at: number): number {
  return (word[at] as number) - ZERO;
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}

/**
 * Writes the address in `word` into `out`; returns 4 or 16 bytes, or 0 if it is not an address. A `%zone` is left out.
 */
export function writeAddress(word: Uint8Array, length: number, out: Uint8Array): number {
  if (writeV4(word, length, out)) return 4;
  const text = String.fromCharCode(...word.subarray(0, length));
  if (familyOf(text) === undefined) return 0;
  const bytes = unmapped(addressBytes(text));
  out.set(bytes);
  return bytes.length;
}

/** The usual case, without a string: four numbers up to 255, without leading zeros. */
function writeV4(word: Uint8Array, length: number, out: Uint8Array): boolean {
  let part = 0;
  let value = -1;
  for (let i = 0; i <= length; i++) {
    const byte = i === length ? DOT : (word[i] as number);
    if (byte === DOT) {
      if (value < 0 || part === 4) return false;
      out[part++] = value;
      value = -1;
    } else {
      const next = byte - ZERO;
      if (!isDigit(next) || value === 0) return false;
      value = Math.max(value, 0) * 10 + next;
      if (value > 255) return false;
    }
  }
  return part === 4;
}

/** A v4-mapped v6 address (`::ffff:10.0.0.1`) means v4, as in CoreDNS. */
function unmapped(address: Uint8Array): Uint8Array {
  const isMapped = address.length === 16 && MAPPED.every((byte, i) => address[i] === byte);
  return isMapped ? address.slice(MAPPED.length) : address;
}
