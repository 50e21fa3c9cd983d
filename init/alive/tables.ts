/** Which agents are known to the kernel as alive, by a table that ends with the agent's herald. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../../agent/base/errors.ts';
import { ReadBackError } from '../backend.ts';
import type { Run } from '../exec.ts';
import type { Log } from '../log.ts';
import { listTable, shapeInText, shapeOf } from '../nft-table.ts';
import { type RuleSet, whileAlive } from '../plan.ts';
import { type AliveMark, aliveBatch, aliveTable } from './table.ts';

/**
 * Carries out a transaction of nf_tables, and leaves the table that it makes to the process at the other end of the unix
 * socket: the table ends with that (`lend.c`). Rejects with the system's error.
 */
export type LendTable = (batch: Buffer, descriptor: number) => Promise<void>;

export interface AliveTablesParts extends AliveMark {
  /** Undefined where query rules cannot depend on a mark: the host's then go at init's hand only. */
  readonly lend: LendTable | undefined;
  readonly run: Run;
  readonly log: Log;
  /** Query rules shall ask for the mark from now on. */
  readonly onFirst: () => void;
}

export class AliveTables {
  readonly #parts: AliveTablesParts;
  readonly #heralds = new Set<object>();
  /** Heralds that have a table. */
  readonly #marked = new Set<object>();
  #said = '';

  constructor(parts: AliveTablesParts) {
    this.#parts = parts;
  }

  /** The rules, bound to the mark as long as anybody marks. */
  bind(rules: RuleSet): RuleSet {
    return this.#marked.size === 0 ? rules : whileAlive(rules, this.#parts.mark);
  }

  /** Gives a herald its table; `descriptor` is our end of its connection. Never rejects. */
  async add(herald: object, descriptor: number): Promise<void> {
    const { lend, run, log, onFirst } = this.#parts;
    if (lend === undefined) return;
    this.#heralds.add(herald);
    try {
      const id = randomBytes(4).toString('hex');
      const table = aliveTable(id, this.#parts);
      await lend(aliveBatch(id, this.#parts), descriptor);
      if (!this.#heralds.has(herald)) return;
      if (shapeInText(await listTable(run, table.name)) !== shapeOf(table))
        throw new ReadBackError(`table inet ${table.name}`);
    } catch (error) {
      this.#say(herald, messageOf(error), log);
      return;
    }
    if (!this.#heralds.has(herald)) return;
    this.#said = '';
    this.#marked.add(herald);
    if (this.#marked.size === 1) onFirst();
  }

  /** A herald has ended, and its table with it. Whether nobody marks any more who did. */
  remove(herald: object): boolean {
    this.#heralds.delete(herald);
    return this.#marked.delete(herald) && this.#marked.size === 0;
  }

  #say(herald: object, error: string, log: Log): void {
    // Its end explains everything.
    if (!this.#heralds.has(herald) || error === this.#said) return;
    this.#said = error;
    log.warn("the host's query rules outlive the agent by some milliseconds", { error });
  }
}
