/** Which agents are known to the kernel as alive, by a table that ends with the agent's herald. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../agent/base/clock.ts';
import { messageOf } from '../../agent/base/errors.ts';
import { ReadBackError } from '../firewall/backend.ts';
import { listTable, shapeInText, shapeOf } from '../firewall/nft/table.ts';
import type { Log } from '../log.ts';
import type { Run } from '../node/exec.ts';
import { type RuleSet, whileAlive } from '../plan/plan.ts';
import { type AliveMark, aliveBatch, aliveTable } from './table.ts';

const RETRY_MS = 30_000;

/**
 * Carries out a transaction of nf_tables, and leaves the table that it makes to the process at the other end of the unix
 * socket: the table ends with that (`native/netfilter/socket_handoff.c`). Rejects with the system's error.
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
  /** The kernel has it. */
  marks: boolean;
}

export class AliveTables {
  readonly #parts: AliveTablesParts;
  readonly #heralds = new Map<object, Lent>();
  /** One at a time: the kernel has one lock for all tables of the node. */
  #loans: Promise<void> = Promise.resolve();
  #said = '';

  constructor(parts: AliveTablesParts) {
    this.#parts = parts;
  }

  /** The rules, bound to the mark if anybody marks, now that all known heralds have been seen to. Never rejects. */
  async bind(rules: RuleSet): Promise<RuleSet> {
    await this.#loans;
    return this.#isMarked ? whileAlive(rules, this.#parts.alive.mark) : rules;
  }

  /** Gives a herald its table. `descriptor` tells our end of its connection, -1 when that is closed. */
  add(herald: object, descriptor: () => number): void {
    if (this.#parts.lend === undefined) return;
    this.#heralds.set(herald, { descriptor, id: undefined, marks: false });
    this.#queue(herald);
  }

  /** A herald has ended, and its table with it. Whether nobody marks any more who did. */
  remove(herald: object): boolean {
    const marked = this.#heralds.get(herald)?.marks === true;
    this.#heralds.delete(herald);
    return marked && !this.#isMarked;
  }

  get #isMarked(): boolean {
    return [...this.#heralds.values()].some(({ marks }) => marks);
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
    const isFirst = !this.#isMarked;
    lent.marks = true;
    if (!isFirst) return;
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
      log.warn('query rules of the host do not end with the agent: init removes them', {
        event: 'alive-table',
        error,
      });
    this.#said = error;
    clock.after(RETRY_MS, () => this.#queue(herald));
  }
}
