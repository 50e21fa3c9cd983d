/** Random letter case in a question: bits that a forger must guess besides ID and port (draft-vixie-dnsext-dns0x20). */
import type { IdSource } from './ids.ts';

const CASE_BIT = 0x20;
const BITS_PER_DRAW = 16;

const isLower = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;

/** `name` (lower-case wire form) with each letter in random case. Length bytes, at most 63, are not letters. */
export function randomCase(name: Uint8Array, ids: IdSource): Uint8Array {
  let bits = 0;
  let left = 0;
  return name.map((byte) => {
    if (!isLower(byte)) return byte;
    if (left === 0) {
      bits = ids();
      left = BITS_PER_DRAW;
    }
    left--;
    const isUpper = (bits & 1) === 1;
    bits >>= 1;
    return isUpper ? byte & ~CASE_BIT : byte;
  });
}
