/** Which agents are known to the kernel as alive, by a table that ends with the agent's herald. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../agent/base/clock.ts';
import { messageOf } from '../../agent/base/errors.ts';
import { ReadBackError } from '../backend.ts';
import type { Run } from '../exec.ts';
import type { Log } from '../log.ts';
import { listTable, shapeInText, shapeOf } from '../nft-table.ts';
import { type RuleSet, whileAlive } from '../plan.ts';
import { type AliveMark, aliveBatch, aliveTable } from './table.ts';

const RETRY_MS = 30_000;

/**
 * Carries out a transaction of nf_tables, and leaves the table that it makes to the process at the other end of the unix
 * socket: the table ends with that (`lend.c`). Rejects with the system's error.
 */
export type LendTable = (batch: Buffer, descriptor: number) => Promise<void>;

export interface AliveTablesParts {
  readonly alive: AliveMark;
  /** Undefined where query rules cannot depend on a mark: the host's then go at init's hand only. */
  readonly lend: LendTable | undefined;
  readonly run: Run;
  readonly clock: Clock;
  readonly log: Log;
  /** Query rules shall ask for the mark from now on. */
  readonly onFirst: () => void;
}

interface Lent {
  /** Our end of the connection, -1 when that is closed. */
  readonly descriptor: () => number;
  /** Of the table that the herald has, seen in the kernel or not. */
  id: string | undefined;
}

export class AliveTables {
  readonly #parts: AliveTablesParts;
  readonly #heralds = new Map<object, Lent>();
  /** Heralds that have a table. */
  readonly #marked = new Set<object>();
  /** One at a time: the kernel has one lock for all tables of the node. */
  #loans: Promise<void> = Promise.resolve();
  #said = '';

  constructor(parts: AliveTablesParts) {
    this.#parts = parts;
  }

  /** The rules, bound to the mark if anybody marks, now that all known heralds have been seen to. Never rejects. */
  async bind(rules: RuleSet): Promise<RuleSet> {
    await this.#loans;
    return this.#marked.size === 0 ? rules : whileAlive(rules, this.#parts.alive.mark);
  }

  /** Gives a herald its table. `descriptor` tells our end of its connection, -1 when that is closed. */
  add(herald: object, descriptor: () => number): void {
    if (this.#parts.lend === undefined) return;
    this.#heralds.set(herald, { descriptor, id: undefined });
    this.#queue(herald);
  }

  /** A herald has ended, and its table with it. Whether nobody marks any more who did. */
  remove(herald: object): boolean {
    this.#heralds.delete(herald);
    return this.#marked.delete(herald) && this.#marked.size === 0;
  }

  #queue(herald: object): void {
    this.#loans = this.#loans.then(() => this.#lend(herald));
  }

  async #lend(herald: object): Promise<void> {
    const lent = this.#heralds.get(herald);
    if (lent === undefined) return;
    try {
      const id = lent.id ?? (await this.#give(lent));
      if (this.#heralds.has(herald)) await this.#check(id);
    } catch (error) {
      await this.#fail(herald, messageOf(error));
      return;
    }
    if (!this.#heralds.has(herald)) return;
    this.#said = '';
    this.#marked.add(herald);
    if (this.#marked.size > 1) return;
    this.#parts.log.info('the kernel knows that an agent is alive');
    this.#parts.onFirst();
  }

  /** Once: nobody could take a second one back before the herald ends. */
  async #give(lent: Lent): Promise<string> {
    const id = randomBytes(4).toString('hex');
    await this.#parts.lend?.(aliveBatch(id, this.#parts.alive), lent.descriptor());
    lent.id = id;
    return id;
  }

  async #check(id: string): Promise<void> {
    const table = aliveTable(id, this.#parts.alive);
    const held = await listTable(this.#parts.run, table.name);
    if (shapeInText(held) !== shapeOf(table)) throw new ReadBackError(`table inet ${table.name}`);
  }

  /** Tried again, unless the herald has ended: that explains everything, and may be news of the next turn. */
  async #fail(herald: object, error: string): Promise<void> {
    const { clock, log } = this.#parts;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    if (!this.#heralds.has(herald)) return;
    if (error !== this.#said)
      log.warn("the host's query rules do not end with the agent, but at init's hand", { error });
    this.#said = error;
    clock.after(RETRY_MS, () => this.#queue(herald));
  }
}
