/** Reads and writes this agent's own files, after checking that they are its own. */
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

/** Follow no symbolic link, and do not block on a FIFO in place of the file. */
const CAREFUL = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | CAREFUL;

/** Thrown for a file that must not be trusted. */
export class UntrustedError extends NodensError {
  constructor(path: string, why: string) {
    super('NODENS_UNTRUSTED', `${path} ${why}`);
  }
}

/** Thrown for a file that exceeds its maximum size. */
export class TooLargeError extends NodensError {
  constructor(sizeBytes: number) {
    super('NODENS_TOO_LARGE', `${sizeBytes} bytes are too many`);
  }
}

/** The file's content. Throws UntrustedError, TooLargeError, or the system's error. */
export function readTrusted(path: string, maxBytes: number): Buffer {
  // Checked before opening: opening a device may have an effect, and opening another user's file may be forbidden.
  judge(path, lstatSync(path));
  const fd = openSync(path, constants.O_RDONLY | CAREFUL);
  try {
    // Checked again: another file may have replaced it.
    const stats = fstatSync(fd);
    judge(path, stats);
    if (stats.size > maxBytes) throw new TooLargeError(stats.size);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes a file that other users may read. Throws the system's error, also for a link or a FIFO at its path. */
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
