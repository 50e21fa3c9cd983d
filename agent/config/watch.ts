/** Configuration files on disk: watching and writing. Only this file and files.ts use node:fs in this room. */
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

/** Larger files are identified by times and size: hashing them at each check would delay queries. */
const MAX_HASHED_BYTES = 256 * 1024;
/** Delay for a writer that truncates and then writes, so that the empty file in between is not read. */
const SETTLE_MS = 50;
/** Interval of polling, for changes that the kernel does not report (network file systems, no watches left). */
const POLL_MS = 10_000;

/** `pollMs` is the interval of polling, 10 s by default. */
export interface WatchOptions {
  readonly pollMs?: number;
  /** Called when the kernel cannot watch a path or `onChange` throws; watching continues. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Calls `onChange` with those of `paths` (files or directories, existing or not) whose content has changed: written in
 * place, replaced by a rename, or swapped through a ConfigMap volume's `..data` link. A directory's content is that of
 * its regular files that are not hidden. No callback lets an error escape.
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
  /** By path and inode, so that a replaced file gets a new watcher. */
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

  /** Watches the current targets of the paths; drops the others. */
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

  /** Once for each path: polling detects changes anyway. */
  #report(path: string, error: unknown): void {
    if (this.#failed.has(path)) return;
    this.#failed.add(path);
    this.#onError(error);
  }
}

/**
 * What to watch for `path`: the directory that contains its name (rename, link swap), the file itself (written in
 * place, also if bind-mounted alone), and the same for the targets of symbolic links.
 */
function watchTargets(path: string): string[] {
  try {
    const real = realpathSync(path);
    return [dirname(path), real, dirname(real)];
  } catch {
    return [dirname(path)];
  }
}

/** Includes the birth time, because inode numbers are reused at once. */
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

/** Text that is equal for equal content; the error's name if it cannot be read. */
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

/** Errors of the rename after which writing the file in place may still work. */
const NO_RENAME = new Set(['EROFS', 'EACCES', 'EPERM', 'EBUSY', 'EXDEV']);

/**
 * Replaces the content of `path` by `text` so that a reader sees either the old or the new text in full. If the
 * directory is not writable or the file is a mount of its own, writes in place. Symbolic links stay. Throws the
 * system's error if neither works.
 */
export function writeAtomically(path: string, text: string): 'unchanged' | 'replaced' | 'in-place' {
  const target = systemFiles.kind(path) === undefined ? path : realpathSync(path);
  if (hasContent(target, text)) return 'unchanged';
  const beside = join(dirname(target), `.${basename(target)}.${process.pid}`);
  try {
    // A file of another process at this path must not be written through.
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

/** Throws the system's error, also if it is not a regular file. */
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
