/** Files of the machine: text, and content of any size in chunks. Only regular files are opened for reading. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import type { ConfigFiles } from './corefile/imports.ts';

/** Twice the maximum size of a ConfigMap. */
const MAX_TEXT_BYTES = 2 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** The kernel's file times advance in steps: a file that was written a moment ago may change again in the same step. */
const TICK_MS = 50;

/** The machine's files. `read` throws for a file that is not regular or is too big. */
export const systemFiles: ConfigFiles = {
  read: (path) => {
    const fd = openRegular(path);
    try {
      if (fstatSync(fd).size > MAX_TEXT_BYTES)
        throw new Error(`${path} is over ${MAX_TEXT_BYTES} bytes`);
      return textOf(readFileSync(fd));
    } finally {
      closeSync(fd);
    }
  },
  list: (dir) => readdirSync(dir),
  kind: (path) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) return 'directory';
    return stats === undefined ? undefined : 'file';
  },
};

/** Bytes as text; U+FFFD replaces invalid UTF-8. A byte order mark stays. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** Result of `Files.open` (`query/services/files.ts`). */
export interface OpenFile {
  readonly identity: string;
  readonly sizeBytes: number;
  read(): Promise<Uint8Array>;
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens a regular file. Rejects with the system's error; for anything but a regular file, with its kind. */
export async function openFile(path: string, clock: Pick<Clock, 'wallMs'>): Promise<OpenFile> {
  refuseOthers(path, await stat(path));
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    refuseOthers(path, stats);
    const chunk = new Uint8Array(CHUNK_BYTES);
    const identity = identityOf(stats, clock);
    return {
      identity,
      sizeBytes: stats.size,
      read: async () => chunk.subarray(0, (await file.read(chunk)).bytesRead),
      isUnchanged: async () => contentOf(await file.stat()) === contentOf(stats),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A file whose content is complete in memory: for files that are not on this machine. */
export function fileOf(bytes: Uint8Array, identity: string): OpenFile {
  let isRead = false;
  return {
    identity,
    sizeBytes: bytes.length,
    read: () => {
      const rest = isRead ? bytes.subarray(bytes.length) : bytes;
      isRead = true;
      return Promise.resolve(rest);
    },
    isUnchanged: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  };
}

/**
 * A descriptor of a regular file. Throws what `openFile` rejects with. Opening a named pipe would wait for its writer.
 */
export function openRegular(path: string): number {
  refuseOthers(path, statSync(path));
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    refuseOthers(path, fstatSync(fd));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Major 1, minor 3 on every Linux. */
const NULL_DEVICE = 0x103;

/** `/dev/null` means no file, as in `hosts /dev/null { … }`: it ends at once. */
function refuseOthers(path: string, stats: Stats): void {
  const isNull = stats.isCharacterDevice() && stats.rdev === NULL_DEVICE;
  if (stats.isFile() || isNull) return;
  throw new Error(`${path} is ${kindOf(stats)}, not a regular file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

let fresh = 0;

/**
 * Text that is equal for the same file with the same content; always different for a file that was written just now.
 */
export function identityOf(stats: Stats, clock: Pick<Clock, 'wallMs'>): string {
  const isFresh = Math.abs(clock.wallMs() - stats.ctimeMs) < TICK_MS;
  return isFresh ? `${contentOf(stats)} ${++fresh}` : contentOf(stats);
}

function contentOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev}:${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}
