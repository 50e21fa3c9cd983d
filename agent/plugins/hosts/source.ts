/** The current table: file and inline lines together, read again when the file changes. */
import type { Timer } from '../../base/clock.ts';
import { ConfigError, errnoOf, messageOf, type Place } from '../../base/errors.ts';
import { lackOfOpening, UnreadError } from '../../base/lack.ts';
import type { Pace } from '../../query/plugin.ts';
import { DEDUPLICATE_BY } from '../../query/services/log.ts';
import type { Services } from '../../query/services/services.ts';
import { HostsAnswers } from './answers.ts';
import { NoRoomError, Room } from './arena.ts';
import { HostsTable } from './table.ts';
import { ChangedError, type HeldTable, type Tables, tablesOf, type Wanted } from './tables.ts';

/** One use of the directive. `reloadMs` 0: the file is not watched. */
export interface SourceOptions extends Wanted {
  readonly ttlSeconds: number;
  readonly reloadMs: number;
  /** Position of the directive. */
  readonly place: Place;
}

/** The answers of one use of the directive: `prepare` reads the file, `start` watches it. */
export class Source {
  readonly #options: SourceOptions;
  readonly #services: Services;
  readonly #tables: Tables;
  readonly #nothing: HostsAnswers;
  #held: HeldTable | undefined;
  #watch: { close(): void } | undefined;
  #retry: Timer | undefined;
  #reloading: Promise<void> | undefined;
  #isChanged = false;
  #isEnded = false;
  /** Whether the file did not fit at the start. */
  #isRefused = false;
  answers: HostsAnswers;

  constructor(options: SourceOptions, services: Services) {
    this.#options = options;
    this.#services = services;
    this.#tables = tablesOf(services);
    this.#nothing = new HostsAnswers(new HostsTable(new Room(services.ledger)), options.ttlSeconds);
    this.answers = this.#nothing;
  }

  /**
   * Reads the file. Rejects with ConfigError if it exists but cannot be read, and with UnreadError if this node lacks a
   * resource.
   */
  async prepare(pace: Pace): Promise<void> {
    const { file, place } = this.#options;
    const { log } = this.#services;
    try {
      this.#use(await this.#tables.hold(this.#options, pace));
    } catch (error) {
      const reason = `hosts file ${file} cannot be read: ${messageOf(error)}`;
      const lack = lackOfOpening(errnoOf(error));
      if (lack !== undefined) throw new UnreadError(file, lack, error);
      // A start without the file is better than none: otherwise pods would ask kube-dns, which does not know it either.
      this.#isRefused = error instanceof NoRoomError && pace === 'at once';
      if (error instanceof NoRoomError && this.#isRefused)
        this.#refused(error, `${reason}; continuing without it`);
      else if (isMissing(error))
        log.warn({ event: 'hosts-file', file }, `${reason}; continuing without it`);
      else throw new ConfigError(place, reason, { cause: error });
      this.#use(await this.#tables.holdInline(this.#options, pace));
    }
  }

  /** Publishes the metrics of the table, and watches the file unless `reloadMs` is 0. */
  start(): void {
    const { file, reloadMs } = this.#options;
    this.#publish();
    if (reloadMs <= 0) return;
    this.#watch = this.#services.files.watch(file, reloadMs, () => this.#changed());
    // It may have changed since it was read.
    if (!this.#isRefused) this.#changed();
  }

  /** Ends the watch and releases the table. Every name is unknown afterwards. */
  stop(): void {
    this.#isEnded = true;
    this.#watch?.close();
    this.#retry?.cancel();
    this.answers = this.#nothing;
    this.#held?.release();
  }

  /** Reads the file again, and once more if it changes in the meantime. */
  #changed(): void {
    this.#isChanged = true;
    this.#reloading ??= this.#reloadAll().finally(() => {
      this.#reloading = undefined;
    });
  }

  async #reloadAll(): Promise<void> {
    while (this.#isChanged && !this.#isEnded) {
      this.#isChanged = false;
      await this.#reload();
    }
  }

  /** The former content stays in use while the file is missing, as in CoreDNS, or does not fit. */
  async #reload(): Promise<void> {
    const { file } = this.#options;
    const { log } = this.#services;
    try {
      const held = await this.#tables.hold(this.#options, 'beside queries');
      const isNew = held.identity !== this.#held?.identity;
      if (this.#isEnded) return held.release();
      this.#use(held);
      if (isNew) this.#publish();
    } catch (error) {
      if (this.#isEnded || error instanceof ChangedError) return;
      const reason = `hosts file ${file} cannot be read, keeping its former content: ${messageOf(error)}`;
      if (lackOfOpening(errnoOf(error)) !== undefined) this.#tryAgain();
      if (error instanceof NoRoomError) this.#refused(error, reason);
      // A file that has never existed was reported at the start.
      else if (!isMissing(error) || this.#held?.identity !== '')
        log.warn({ event: 'hosts-file', file }, reason);
    }
  }

  /** The file does not change when this node's resources suffice again, so it must be retried. */
  #tryAgain(): void {
    this.#retry?.cancel();
    const { clock } = this.#services;
    this.#retry = clock.after(this.#options.reloadMs, () => this.#changed());
  }

  #use(held: HeldTable): void {
    const before = this.#held;
    const isSame = before?.table === held.table;
    this.#held = held;
    if (!isSame) {
      this.answers = new HostsAnswers(held.table, this.#options.ttlSeconds);
      this.#tellLeftOut(held.table);
    }
    before?.release();
  }

  #tellLeftOut({ leftOut }: HostsTable): void {
    const { file } = this.#options;
    const { log } = this.#services;
    const { skipped, firstLine, surplusNames } = leftOut;
    if (surplusNames > 0)
      log.info({ file, surplusNames }, 'addresses with too many names for one PTR answer');
    if (skipped === 0) return;
    const first = firstLine > 0 ? ` (the first: ${file}:${firstLine})` : '';
    log.warn(
      { event: 'hosts-file', file, skipped, ...(firstLine > 0 && { line: firstLine }) },
      `hosts: ignored ${skipped} words that are neither address nor name, or are too many${first}`,
    );
  }

  #refused({ neededBytes, availableBytes }: NoRoomError, message: string): void {
    const { metrics, log } = this.#services;
    const { file } = this.#options;
    metrics.counter('nodens_hosts_refused_total', { hostsfile: file }).value++;
    const fields = { event: 'hosts-refused', file, neededBytes, availableBytes } as const;
    log.error({ ...fields, [DEDUPLICATE_BY]: `${fields.event} ${file}` }, message);
  }

  #publish(): void {
    const { metrics, clock } = this.#services;
    const { file } = this.#options;
    metrics.gauge('coredns_hosts_entries', { hostsfile: file }).value = this.answers.table.entries;
    metrics.gauge('coredns_hosts_reload_timestamp_seconds').value = clock.wallMs() / 1_000;
  }
}

function isMissing(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT';
}
