/** The cache's snapshot on disk: written to a temporary file and renamed, so that the file is always complete. */
import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Timer } from '../../base/clock.ts';
import { errnoOf, messageOf } from '../../base/errors.ts';
import { lackOfOpening, type ReportLack } from '../../base/lack.ts';
import { distrustOfFolder } from '../../base/trust.ts';
import type { ProcessCache } from '../../cache/cache.ts';
import { SnapshotError } from '../../cache/snapshot/reader.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import type { BlockIdentities } from '../configuration/block-ids.ts';
import { readTrusted, TooLargeError, UntrustedError } from './trusted-file.ts';

const INTERVAL_MS = 60_000;
/** No process, in another pod of the node either, still writes a file that has not changed for this long. */
const LEFTOVER_MS = 600_000;
/** Of a file that has entries which were removed from the cache: no number of stored answers. */
const OUTDATED = -1;
/** The names that a node asks for are private. */
const FILE_MODE = 0o600;

/** `path` is the complete file; temporary files and unusable ones are beside it. */
export interface SnapshotFileParts {
  readonly path: string;
  readonly cache: Pick<ProcessCache, 'snapshot' | 'restore' | 'stored'>;
  readonly identities: BlockIdentities;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** A larger file is not nodens's. */
  readonly maxBytes: number;
  /** Called with the resource that this node lacked to read or write it. */
  readonly reportLack?: ReportLack;
}

type Fault = 'write' | 'read' | 'untrusted' | SnapshotError['reason'];

/** One for the process: `load` once, before any listener, then `start` and `stop`. */
export class SnapshotFile {
  readonly #parts: SnapshotFileParts;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** `cache.stored` when writing of the last snapshot began. */
  #storedThen = 0;
  /** Clock time of the last snapshot's content. */
  #trueMs: number | undefined;
  /** Faults since the last snapshot that was written: each is logged once, however often it is retried. */
  readonly #logged = new Set<string>();

  constructor(parts: SnapshotFileParts) {
    this.#parts = parts;
    parts.metrics.gaugeFrom('nodens_snapshot_age_seconds', {}, () => this.#ageSeconds());
  }

  /**
   * Restores the snapshot into the cache; returns the number of entries. Never throws: an unusable file is counted and
   * moved aside, and the start continues. Runs before any listener, so it may be slow.
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

  /** From now on, writes every minute if there is something new. */
  start(): void {
    this.#timer = this.#parts.clock.every(INTERVAL_MS, () => void this.write());
  }

  /** Writes one last time. Never rejects. */
  stop(): Promise<void> {
    this.#timer?.cancel();
    return this.write();
  }

  /** Writes after any write in progress. Never rejects: an error is counted and logged. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /**
   * Writes even if nothing new was stored, because entries were removed. Resolves to whether the file has only what the
   * cache has; if not, it is tried again with the next write.
   */
  async rewrite(): Promise<boolean> {
    await this.#writing;
    this.#storedThen = OUTDATED;
    await this.write();
    return this.#storedThen !== OUTDATED;
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
      this.#logged.clear();
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
    const pieces = cache.snapshot((id) => identities.textOf(id));
    try {
      // Queries are answered while a chunk is written to disk.
      for (;;) {
        const { value, done } = pieces.next();
        if (done === true) {
          await handle.sync();
          return value;
        }
        await handle.writeFile(value);
      }
    } finally {
      // Ends the walk through the cache if the disk was full.
      pieces.return({ entries: 0, bytes: 0 });
      await handle.close();
    }
  }

  /** Counts and logs why the file is unusable; moves it aside if it will never be usable. */
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

  /** The reason why the file cannot be moved aside; undefined if it was moved. */
  #moveAside(aside: string): string | undefined {
    const { path } = this.#parts;
    try {
      // It may contain anything: an operator may have given a folder instead of a file.
      if (lstatSync(path).isDirectory()) return 'it is a folder, which nodens does not move';
      renameSync(path, aside);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  /**
   * In a folder that every user can write, another user may remove the file or restore an old one; the content is still
   * this user's.
   */
  #judgeFolder(): void {
    const folder = dirname(this.#parts.path);
    try {
      const why = distrustOfFolder(statSync(folder), process.geteuid?.() ?? 0);
      if (why === undefined) return;
      const remedy = `chown root ${folder}; chmod o-w ${folder} (nodens init -statedir ${folder} does that)`;
      this.#failed('untrusted', new UntrustedError(folder, why), { remedy });
    } catch {
      // A missing folder is reported when the snapshot is missed.
    }
  }

  /** A missing snapshot is normal; a folder that cannot be written is reported at the start, not a minute later. */
  #nothingThere(): 0 {
    try {
      statSync(dirname(this.#parts.path));
    } catch (error) {
      this.#failed('write', error);
    }
    return 0;
  }

  /** Removes files of processes that died while writing. During an update the old pod writes in the same folder. */
  #removeLeftovers(): void {
    const { path, clock } = this.#parts;
    const folder = dirname(path);
    const endMs = clock.wallMs() - LEFTOVER_MS;
    for (const name of namesIn(folder)) {
      if (!name.startsWith(`${basename(path)}.tmp-`)) continue;
      try {
        if (lstatSync(join(folder, name)).mtimeMs < endMs) rmSync(join(folder, name));
      } catch {
        // Another agent may have removed it; a remaining file does no harm.
      }
    }
  }

  #failed(reason: Fault, error: unknown, more: Told = {}): void {
    const { path, metrics, log, reportLack } = this.#parts;
    metrics.counter('nodens_snapshot_errors_total', { reason }).value++;
    const errno = errnoOf(error);
    const lack = lackOfOpening(errno);
    if (lack !== undefined) reportLack?.(lack, errno, `${reason} the snapshot`);
    const what = `${reason} ${errno} ${more.remedy ?? ''}`;
    if (this.#logged.has(what)) return;
    this.#logged.add(what);
    const remedy = more.remedy ?? remedyFor(reason, errno, dirname(path));
    const where = more.where === undefined ? '' : `; ${more.where}`;
    log.warn({ event: 'snapshot', path, reason, remedy }, `snapshot: ${messageOf(error)}${where}`);
  }

  #ageSeconds(): number {
    return this.#trueMs === undefined ? 0 : (this.#parts.clock.nowMs() - this.#trueMs) / 1_000;
  }
}

/** Fields of a warning besides the error. */
interface Told {
  readonly remedy?: string | undefined;
  /** What happened to the file. */
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

/** An unreadable folder is reported when it is written to. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What the operator can do; undefined if nothing. */
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

/** A rename is durable only after fsync of its folder. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
