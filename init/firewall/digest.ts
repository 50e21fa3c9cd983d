/**
 * What tells one text of a rule from another. Inits of different versions read each other's digests: they stay SHA-256.
 * node:crypto loads 19 modules and OpenSSL for it: 0.5 MB of every init. docs/decisions/034-memory-of-a-sleeper.md.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

const DIGITS = 8;

/** The first 8 hexadecimal digits of the SHA-256 of `text`. */
export function digestOf(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text))).slice(0, DIGITS);
}
