/**
 * Tables of hosts files, shared by all directives with the same content: those of other blocks, and those before and
 * after a reload. One table is built at a time, so that at most one unused table is in memory.
 */
import { NodensError } from '../../base/errors.ts';
import type { Pace } from '../../query/plugin.ts';
import type { OpenFile } from '../../query/services/files.ts';
import type { Services } from '../../query/services/services.ts';
import { Room } from './arena.ts';
import { TableBuilder, type TableOptions } from './builder.ts';
import type { HostsTable } from './table.ts';

/** Maximum time of a slice of work, milliseconds. */
const SLICE_MS = 0.25;
const TURN = 'hosts';

/** What a table is made from. Uses with equal values share a table if the file has not changed in between. */
export interface Wanted extends TableOptions {
  readonly file: string;
  /** Lines added after those of the file. */
  readonly inline: string;
}

/** A table in use: release it when it is no longer queried. */
export interface HeldTable {
  readonly table: HostsTable;
  /** Identity of the file as it was read; '' if there is none. */
  readonly identity: string;
  release(): void;
}

/** Thrown for a file that changed while it was read. */
export class ChangedError extends NodensError {
  constructor() {
    super('NODENS_CHANGED', 'the file changed while it was read');
  }
}

type Parts = Pick<Services, 'clock' | 'files' | 'ledger' | 'work'>;

interface Shared {
  readonly made: Promise<HostsTable>;
  users: number;
}

/** Tables of one process: it has one `Files`. */
const byFiles = new WeakMap<Parts['files'], Tables>();

/** The tables of the process that `services` belongs to. */
export function tablesOf(services: Services): Tables {
  const known = byFiles.get(services.files);
  if (known !== undefined) return known;
  const made = new Tables(services);
  byFiles.set(services.files, made);
  return made;
}

/** Builds tables when they are first wanted, and frees them when their last user has released them. */
export class Tables {
  readonly #parts: Parts;
  readonly #shared = new Map<string, Shared>();
  /** The table that is being built or freed. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * The table of a file plus inline lines. Rejects with the system's error for the file, with NoRoomError, and, beside
   * queries, with ChangedError.
   */
  async hold(wanted: Wanted, pace: Pace): Promise<HeldTable> {
    const file = await this.#parts.files.open(wanted.file);
    return await this.#hold(wanted, file.identity, file, () => this.#read(wanted, file, pace));
  }

  /** The table of inline lines only. */
  async holdInline(wanted: Wanted, pace: Pace): Promise<HeldTable> {
    return await this.#hold(wanted, '', undefined, () => this.#make(wanted, undefined, pace));
  }

  async #hold(
    wanted: Wanted,
    identity: string,
    file: OpenFile | undefined,
    make: () => Promise<HostsTable>,
  ): Promise<HeldTable> {
    const key = keyOf(wanted, identity);
    const known = this.#shared.get(key);
    const shared = known ?? this.#begin(key, make);
    shared.users++;
    try {
      if (known !== undefined) await file?.close();
      const table = await shared.made;
      return { table, identity, release: once(() => this.#release(key, shared)) };
    } catch (error) {
      this.#release(key, shared);
      throw error;
    }
  }

  #begin(key: string, make: () => Promise<HostsTable>): Shared {
    const shared = { made: this.#queue.then(make), users: 0 };
    this.#shared.set(key, shared);
    this.#queue = shared.made.catch(() => {});
    return shared;
  }

  #release(key: string, shared: Shared): void {
    if (--shared.users > 0) return;
    this.#shared.delete(key);
    shared.made.then(
      (table) => this.#free(table),
      () => {},
    );
  }

  /** Before the next table is built: it needs the memory. */
  #free(table: HostsTable): void {
    this.#queue = this.#queue.then(() => this.#run(table.free(), 'beside queries'));
  }

  async #read(wanted: Wanted, file: OpenFile, pace: Pace): Promise<HostsTable> {
    try {
      const table = await this.#make(wanted, file, pace);
      // At the start half a file is better than none, and the watch will soon report the other half.
      if (pace === 'at once' || (await file.isUnchanged())) return table;
      this.#free(table);
      throw new ChangedError();
    } finally {
      await file.close();
    }
  }

  async #make(wanted: Wanted, file: OpenFile | undefined, pace: Pace): Promise<HostsTable> {
    const room = new Room(this.#parts.ledger);
    const { inline } = wanted;
    const builder = new TableBuilder(wanted, room, (file?.sizeBytes ?? 0) + inline.length);
    try {
      for (let chunk = await file?.read(); chunk?.length; chunk = await file?.read())
        await this.#run(builder.add(chunk), pace);
      await this.#run(builder.end(inline), pace);
      return builder.table;
    } catch (error) {
      this.#free(builder.table);
      throw error;
    }
  }

  async #run(steps: Generator<void>, pace: Pace): Promise<void> {
    const { clock, work } = this.#parts;
    let isDone = false;
    const slice = (): void => {
      const endMs = clock.nowMs() + SLICE_MS;
      do isDone = steps.next().done === true;
      while (!isDone && (pace === 'at once' || clock.nowMs() < endMs));
    };
    while (!isDone)
      if (pace === 'at once') slice();
      else await work.run(TURN, slice);
  }
}

function keyOf({ file, inline, reverse, zones }: Wanted, identity: string): string {
  const names = zones.map((zone) => Buffer.from(zone).toString('hex'));
  return JSON.stringify([file, identity, inline, reverse, names]);
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
