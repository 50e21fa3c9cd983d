/** Random numbers of the kernel. An init that stays does not load node:crypto: docs/decisions/034-memory-of-a-sleeper.md. */
import { closeSync, openSync, readSync } from 'node:fs';

const SOURCE = '/dev/urandom';

/** `count` random bytes. Throws when the system has no /dev/urandom. */
export function randomBytes(count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  const file = openSync(SOURCE, 'r');
  try {
    readSync(file, bytes);
  } finally {
    closeSync(file);
  }
  return bytes;
}

/** A random integer from 0 to `limit` - 1, for a `limit` of at most 65,536: the first ones are then hardly more frequent. */
export function randomInt(limit: number): number {
  return randomBytes(4).readUInt32BE() % limit;
}
