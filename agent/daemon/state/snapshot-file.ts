/** The cache's snapshot on disk: written aside and renamed, so that what is there is always whole. */
import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Timer } from '../../base/clock.ts';
import { errnoOf, messageOf } from '../../base/errors.ts';
import { lackOfOpening, type TellLack } from '../../base/lack.ts';
import { distrustOfFolder } from '../../base/trust.ts';
import type { ProcessCache } from '../../cache/cache.ts';
import { SnapshotError } from '../../cache/snapshot/reader.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import type { BlockIdentities } from '../configuration/block-ids.ts';
import { readTrusted, TooLargeError, UntrustedError } from './trusted-file.ts';

const INTERVAL_MS = 60_000;
/** What has not been written to for this long is being written by nobody, another pod of the node included. */
const LEFTOVER_MS = 600_000;
/** Nobody's secret, but which names a node asks for is nobody's business either. */
const FILE_MODE = 0o600;

export interface SnapshotFileParts {
  readonly path: string;
  readonly cache: Pick<ProcessCache, 'snapshot' | 'restore' | 'stored'>;
  readonly identities: BlockIdentities;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** A larger file is none of ours. */
  readonly maxBytes: number;
  /** Told of what this node lacked to read or write it. */
  readonly tellLack?: TellLack;
}

type Fault = 'write' | 'read' | 'untrusted' | SnapshotError['reason'];

export class SnapshotFile {
  readonly #parts: SnapshotFileParts;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** `cache.stored` when the snapshot on disk was begun. */
  #storedThen = 0;
  /** Clock moment at which the snapshot on disk was true. */
  #trueMs: number | undefined;
  /** What is wrong since the last snapshot that was written: told once, however often it is tried. */
  readonly #told = new Set<string>();

  constructor(parts: SnapshotFileParts) {
    this.#parts = parts;
    parts.metrics.gaugeFrom('nodens_snapshot_age_seconds', {}, () => this.#ageSeconds());
  }

  /**
   * Takes the snapshot into the cache; the number of entries. Never throws: a file that cannot be used is counted and
   * moved aside, and the start goes on. Runs before anything listens, so it may take its time.
   */
  load(): number {
    const { path, cache, identities, metrics, log, clock } = this.#parts;
    this.#judgeFolder();
    this.#removeLeftovers();
    try {
      const file = readTrusted(path, this.#parts.maxBytes);
      const { entries, ageMs } = cache.restore(file, (text) => identities.find(text));
      this.#trueMs = clock.nowMs() - ageMs;
      this.#storedThen = cache.stored;
      metrics.gauge('nodens_snapshot_restored_entries').value = entries;
      log.info({ path, entries, ageSeconds: Math.round(ageMs / 1_000) }, 'snapshot read');
      return entries;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return this.#nothingThere();
      this.#unusable(error);
      return 0;
    }
  }

  /** Writes every minute from now on, where there is something new. */
  start(): void {
    this.#timer = this.#parts.clock.every(INTERVAL_MS, () => void this.write());
  }

  /** Writes a last time. Never rejects. */
  stop(): Promise<void> {
    this.#timer?.cancel();
    return this.write();
  }

  /** Writes now, after what is being written. Never rejects: what goes wrong is counted and told. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { path, cache, clock, metrics } = this.#parts;
    const { stored } = cache;
    if (stored === this.#storedThen) return;
    const aside = `${path}.tmp-${randomUUID()}`;
    const trueMs = clock.nowMs();
    try {
      const totals = await this.#writeTo(aside);
      await rename(aside, path);
      await syncDirectory(dirname(path));
      this.#storedThen = stored;
      this.#trueMs = trueMs;
      this.#told.clear();
      metrics.gauge('nodens_snapshot_entries').value = totals.entries;
      metrics.gauge('nodens_snapshot_bytes').value = totals.bytes;
    } catch (error) {
      this.#failed('write', error);
      await rm(aside, { force: true }).catch(() => undefined);
    }
  }

  async #writeTo(path: string): Promise<{ entries: number; bytes: number }> {
    const { cache, identities } = this.#parts;
    const handle = await open(path, 'wx', FILE_MODE);
    try {
      const pieces = cache.snapshot((id) => identities.textOf(id));
      // Queries are answered while a piece is on its way to the disk.
      for (;;) {
        const { value, done } = pieces.next();
        if (done === true) {
          await handle.sync();
          return value;
        }
        await handle.writeFile(value);
      }
    } finally {
      await handle.close();
    }
  }

  /** Counts and tells why the file is of no use; one that will not be of use later either is moved aside. */
  #unusable(error: unknown): void {
    const { path } = this.#parts;
    const reason = faultOf(error);
    if (reason === 'read') {
      this.#failed(reason, error);
      return;
    }
    const aside = `${path}.${reason === 'untrusted' ? 'untrusted' : 'damaged'}`;
    const fate = this.#moveAside(aside);
    const isMoved = fate === undefined;
    const remedy = reason === 'untrusted' ? untrustedRemedy(isMoved ? aside : path) : undefined;
    const where = isMoved ? `moved to ${aside}` : `ignored: ${fate}`;
    this.#failed(reason, error, { remedy, where });
  }

  /** Why it stays where it is, undefined where it does not. */
  #moveAside(aside: string): string | undefined {
    const { path } = this.#parts;
    try {
      // It may hold anything: an operator may have given the folder in place of the file.
      if (lstatSync(path).isDirectory()) return 'it is a folder, which nodens does not move';
      renameSync(path, aside);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Where every user can put files, one may take ours away or bring an old one back; what we read is ours all the same. */
  #judgeFolder(): void {
    const folder = dirname(this.#parts.path);
    try {
      const why = distrustOfFolder(statSync(folder), process.geteuid?.() ?? 0);
      if (why === undefined) return;
      const remedy = `chown root ${folder}; chmod o-w ${folder} (nodens init -statedir ${folder} does that)`;
      this.#failed('untrusted', new UntrustedError(folder, why), { remedy });
    } catch {
      // One that is missing is told of where the snapshot is missed.
    }
  }

  /** No snapshot yet is no news, but that there never will be one is told at the start, not in a minute. */
  #nothingThere(): 0 {
    try {
      statSync(dirname(this.#parts.path));
    } catch (error) {
      this.#failed('write', error);
    }
    return 0;
  }

  /** What a process left that died while it wrote. During an update the old pod writes beside us. */
  #removeLeftovers(): void {
    const { path, clock } = this.#parts;
    const folder = dirname(path);
    const endMs = clock.wallMs() - LEFTOVER_MS;
    for (const name of namesIn(folder)) {
      if (!name.startsWith(`${basename(path)}.tmp-`)) continue;
      try {
        if (lstatSync(join(folder, name)).mtimeMs < endMs) rmSync(join(folder, name));
      } catch {
        // Another agent may have been faster, and what cannot be removed does no harm.
      }
    }
  }

  #failed(reason: Fault, error: unknown, more: Told = {}): void {
    const { path, metrics, log, tellLack } = this.#parts;
    metrics.counter('nodens_snapshot_errors_total', { reason }).value++;
    const errno = errnoOf(error);
    const lack = lackOfOpening(errno);
    if (lack !== undefined) tellLack?.(lack, errno, `${reason} the snapshot`);
    const what = `${reason} ${errno} ${more.remedy ?? ''}`;
    if (this.#told.has(what)) return;
    this.#told.add(what);
    const remedy = more.remedy ?? remedyFor(reason, errno, dirname(path));
    const where = more.where === undefined ? '' : `; ${more.where}`;
    log.warn({ event: 'snapshot', path, reason, remedy }, `snapshot: ${messageOf(error)}${where}`);
  }

  #ageSeconds(): number {
    return this.#trueMs === undefined ? 0 : (this.#parts.clock.nowMs() - this.#trueMs) / 1_000;
  }
}

/** What a warning says beyond the error. */
interface Told {
  readonly remedy?: string | undefined;
  /** What has become of the file. */
  readonly where?: string;
}

function faultOf(error: unknown): Fault {
  if (error instanceof SnapshotError) return error.reason;
  if (error instanceof TooLargeError) return 'damaged';
  return error instanceof UntrustedError ? 'untrusted' : 'read';
}

function untrustedRemedy(path: string): string {
  return `find out which program on the node made it, then remove ${path}; the next snapshot replaces it within a minute`;
}

/** A folder that cannot be read is told of when it is written to. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What the operator can do about it; undefined where nothing is to be done. */
function remedyFor(reason: Fault, errno: string, folder: string): string | undefined {
  if (reason === 'damaged' || reason === 'version') return undefined;
  if (errno === 'ENOENT')
    return `${folder} does not exist: mount a volume there, or start without -snapshot`;
  if (['EACCES', 'EPERM', 'EROFS'].includes(errno))
    return (
      `make ${folder} writable for uid ${process.getuid?.()}: nodens init -statedir ${folder} does it; ` +
      'or start without -snapshot'
    );
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return `${folder} is full: the snapshot takes as much as the cache`;
  return undefined;
}

/** A rename is only on disk when its folder is. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
