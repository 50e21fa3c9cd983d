/** Names of the reverse zones: the address that the owner of a PTR record stands for (RFC 1035 §3.5, RFC 3596 §2.5). */

const ZERO = 0x30;

function digit(word: Uint8Array, at: number): number {
  return (word[at] as number) - ZERO;
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}

/** `.in-addr.arpa` and `.ip6.arpa` after the first dot, wire form. */
const V4_SUFFIX = Uint8Array.from([7, ...ascii('in-addr'), 4, ...ascii('arpa'), 0]);
const V6_SUFFIX = Uint8Array.from([3, ...ascii('ip6'), 4, ...ascii('arpa'), 0]);
const NIBBLES = 32;

function ascii(text: string): number[] {
  return Array.from(text, (char) => char.charCodeAt(0));
}

/**
 * Writes the address of the PTR owner `name`, lower-case wire form, into `out`; returns 4 or 16 bytes, or 0 for another
 * name (RFC 1035 §3.5, RFC 3596 §2.5).
 */
export function writeReversed(name: Uint8Array, out: Uint8Array): number {
  if (endsWith(name, V6_SUFFIX) && name.length === 2 * NIBBLES + V6_SUFFIX.length)
    return writeNibbles(name, out) ? 16 : 0;
  return endsWith(name, V4_SUFFIX) && writeBytes(name, out) ? 4 : 0;
}

function endsWith(name: Uint8Array, suffix: Uint8Array): boolean {
  const from = name.length - suffix.length;
  return from > 0 && suffix.every((byte, i) => name[from + i] === byte);
}

function writeNibbles(name: Uint8Array, out: Uint8Array): boolean {
  for (let i = 0; i < NIBBLES; i++) {
    const nibble = nibbleOf(name[2 * i + 1] as number);
    if (name[2 * i] !== 1 || nibble < 0) return false;
    // The last nibble comes first.
    const at = 15 - (i >> 1);
    out[at] = i % 2 === 0 ? nibble : (out[at] as number) | (nibble << 4);
  }
  return true;
}

function nibbleOf(byte: number): number {
  if (byte >= ZERO && byte <= 0x39) return byte - ZERO;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x61 + 10 : -1;
}

function writeBytes(name: Uint8Array, out: Uint8Array): boolean {
  let at = 0;
  for (let part = 3; part >= 0; part--) {
    const length = name[at] as number;
    let value = 0;
    for (let i = 1; i <= length; i++) {
      const next = digit(name, at + i);
      if (!isDigit(next) || (length > 1 && i === 1 && next === 0)) return false;
      value = value * 10 + next;
    }
    if (length === 0 || length > 3 || value > 255) return false;
    out[part] = value;
    at += length + 1;
  }
  return at === name.length - V4_SUFFIX.length;
}
