/** Reads and writes files of this agent's own, if they are. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { NodensError } from '../../base/errors.ts';
import { distrustOfFile } from '../../base/trust.ts';

/** No link is followed, and a FIFO that takes the place of the file does not block the process. */
const CAREFUL = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | CAREFUL;

/** Thrown for a file that must not be believed. */
export class UntrustedError extends NodensError {
  constructor(path: string, why: string) {
    super('NODENS_UNTRUSTED', `${path} ${why}`);
  }
}

/** Thrown for a file that has more octets than it may have. */
export class TooLargeError extends NodensError {
  constructor(sizeBytes: number) {
    super('NODENS_TOO_LARGE', `${sizeBytes} bytes are too many`);
  }
}

/** The file's octets. Throws UntrustedError, TooLargeError, or what the system says. */
export function readTrusted(path: string, maxBytes: number): Buffer {
  // Before it is opened: to open a device may do something, and to open another user's file may not be allowed.
  judge(path, lstatSync(path));
  const fd = openSync(path, constants.O_RDONLY | CAREFUL);
  try {
    // Once more: another file may have taken its place.
    const stats = fstatSync(fd);
    judge(path, stats);
    if (stats.size > maxBytes) throw new TooLargeError(stats.size);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes a file that others may read. Throws what the system says, for a link or a FIFO in its place too. */
export function writeInPlace(path: string, text: string): void {
  const fd = openSync(path, WRITE_FLAGS, 0o644);
  try {
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function judge(path: string, facts: Parameters<typeof distrustOfFile>[0]): void {
  const why = distrustOfFile(facts, process.geteuid?.() ?? 0);
  if (why !== undefined) throw new UntrustedError(path, why);
}
