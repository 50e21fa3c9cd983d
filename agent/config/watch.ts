/** Configuration files on disk: watching and writing. With files.ts the only file of this room that touches node:fs. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  type FSWatcher,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { errnoOf } from '../base/errors.ts';
import { identityOf, openRegular, systemFiles } from './files.ts';

/** Larger files are known by their times and size: reading them at each look would take longer than a query may wait. */
const MAX_HASHED_BYTES = 256 * 1024;
/** A writer that truncates and then writes is given this long, so that nobody reads the empty file in between. */
const SETTLE_MS = 50;
/** How soon a change is seen that the kernel told nobody about (network file systems, watches used up). */
const POLL_MS = 10_000;

export interface WatchOptions {
  readonly pollMs?: number;
  /** Told when the kernel cannot watch a path or `onChange` throws; watching goes on. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Calls `onChange` with those of `paths` (files or directories, existing or not) whose content is another than before:
 * written in place, replaced by a rename, or swapped through a ConfigMap volume's `..data` link. A directory's content
 * is that of its regular files that are not hidden. Nothing throws out of the callbacks.
 */
export function watchFiles(
  paths: readonly string[],
  clock: Clock,
  onChange: (changed: readonly string[]) => void,
  options: WatchOptions = {},
): { close(): void } {
  const watched = new FileWatch(paths, clock, onChange, options);
  watched.start();
  return watched;
}

class FileWatch {
  readonly #paths: readonly string[];
  readonly #clock: Clock;
  readonly #onChange: (changed: readonly string[]) => void;
  readonly #onError: (error: unknown) => void;
  readonly #pollMs: number;
  readonly #contents = new Map<string, string>();
  /** By path and inode, so that a replaced file is watched anew. */
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #failed = new Set<string>();
  #settle: Timer | undefined;
  #poll: Timer | undefined;

  constructor(
    paths: readonly string[],
    clock: Clock,
    onChange: (changed: readonly string[]) => void,
    options: WatchOptions,
  ) {
    this.#paths = [...new Set(paths.map((path) => resolve(path)))];
    this.#clock = clock;
    this.#onChange = onChange;
    this.#onError = options.onError ?? (() => {});
    this.#pollMs = options.pollMs ?? POLL_MS;
  }

  start(): void {
    this.#rewatch();
    for (const path of this.#paths) this.#contents.set(path, fingerprint(path, this.#clock));
    this.#poll = this.#clock.every(this.#pollMs, () => this.#check());
  }

  close(): void {
    this.#poll?.cancel();
    this.#settle?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #check(): void {
    this.#rewatch();
    const changed = this.#paths.filter((path) => {
      const now = fingerprint(path, this.#clock);
      const isNew = this.#contents.get(path) !== now;
      this.#contents.set(path, now);
      return isNew;
    });
    if (changed.length === 0) return;
    try {
      this.#onChange(changed);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Watches what the paths are now; forgets what they were. */
  #rewatch(): void {
    const targets = new Map(this.#paths.flatMap(watchTargets).map((path) => [inodeOf(path), path]));
    targets.delete(undefined);
    for (const [inode, watcher] of this.#watchers) {
      if (targets.has(inode)) continue;
      watcher.close();
      this.#watchers.delete(inode);
    }
    for (const [inode, path] of targets)
      if (inode !== undefined && !this.#watchers.has(inode)) this.#watch(inode, path);
  }

  #watch(inode: string, path: string): void {
    try {
      const watcher = watch(path, { persistent: false }, () => {
        this.#settle ??= this.#clock.after(SETTLE_MS, () => {
          this.#settle = undefined;
          this.#check();
        });
      });
      watcher.on('error', (error) => {
        watcher.close();
        if (this.#watchers.get(inode) === watcher) this.#watchers.delete(inode);
        this.#report(path, error);
      });
      this.#watchers.set(inode, watcher);
    } catch (error) {
      this.#report(path, error);
    }
  }

  /** Once for each path: the poll sees changes all the same. */
  #report(path: string, error: unknown): void {
    if (this.#failed.has(path)) return;
    this.#failed.add(path);
    this.#onError(error);
  }
}

/**
 * What to watch for `path`: the directory that holds its name (rename, link swap), itself (written in place, also when
 * bind-mounted alone), and the same behind symbolic links.
 */
function watchTargets(path: string): string[] {
  try {
    const real = realpathSync(path);
    return [dirname(path), real, dirname(real)];
  } catch {
    return [dirname(path)];
  }
}

/** With the time of birth, because inode numbers are used again at once. */
function inodeOf(path: string): string | undefined {
  const stats = statOf(path);
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}:${stats.birthtimeMs}`;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Text that is equal for equal content; names the error where there is none to read. */
function fingerprint(path: string, clock: Clock): string {
  const stats = statOf(path);
  if (stats === undefined) return 'absent';
  try {
    if (stats.isDirectory()) return directoryFingerprint(path, clock);
    if (!stats.isFile()) return 'other';
    if (stats.size > MAX_HASHED_BYTES) return identityOf(stats, clock);
    return createHash('sha256').update(contentOf(path)).digest('hex');
  } catch (error) {
    return errnoOf(error);
  }
}

function directoryFingerprint(dir: string, clock: Clock): string {
  return readdirSync(dir)
    .filter((name) => !name.startsWith('.') && statOf(join(dir, name))?.isFile() === true)
    .sort()
    .map((name) => `${name} ${fingerprint(join(dir, name), clock)}`)
    .join('\n');
}

/** Errors that say "not beside it, not over it" where writing the file itself may still work. */
const NO_RENAME = new Set(['EROFS', 'EACCES', 'EPERM', 'EBUSY', 'EXDEV']);

/**
 * Gives `path` the content `text` so that a reader sees the old or the new one, whole; written in place where the
 * directory cannot be written or the file is a mount of its own. Symbolic links stay. Throws the system's error where
 * neither works.
 */
export function writeAtomically(path: string, text: string): 'unchanged' | 'replaced' | 'in-place' {
  const target = systemFiles.kind(path) === undefined ? path : realpathSync(path);
  if (hasContent(target, text)) return 'unchanged';
  const beside = join(dirname(target), `.${basename(target)}.${process.pid}`);
  try {
    // What another process has put there is not written through.
    rmSync(beside, { force: true });
    writeFileSync(beside, text, { mode: 0o644, flag: 'wx' });
    renameSync(beside, target);
    return 'replaced';
  } catch (error) {
    rmSync(beside, { force: true });
    if (!NO_RENAME.has(errnoOf(error))) throw error;
    writeFileSync(target, text);
    return 'in-place';
  }
}

/** Throws the system's error, and for what is no regular file. */
function contentOf(path: string): Buffer {
  const fd = openRegular(path);
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function hasContent(path: string, text: string): boolean {
  try {
    return contentOf(path).equals(Buffer.from(text));
  } catch {
    return false;
  }
}
