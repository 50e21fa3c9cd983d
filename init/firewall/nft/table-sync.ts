/**
 * Keeps standing tables, which all instances on the node share, as they should be. It writes them once, and again when they
 * are missing or differ from what their writer declared. Two versions of nodens may want different tables: this one does
 * not change what another version wrote later.
 */

import { CommandError } from '../../node/exec.ts';
import type { System } from '../../node/system.ts';
import { addressesIn, ReadBackError } from '../backend.ts';
import {
  goingOf,
  isAsDeclared,
  isClaimMet,
  listTable,
  shapeInText,
  shapeOf,
  type Table,
  type TableShape,
} from './table.ts';
import { writeTables } from './write.ts';

/** Two instances of init that see the same damage write at the same time: what one reads back may be half the other's. */
const WRITES = 2;

/** A table that is not as wanted, and its text where it exists. */
interface StaleTable {
  readonly table: Table;
  readonly held: string | undefined;
}

function claimText(table: Table): string | undefined {
  return table.claim === undefined ? shapeOf(table) : table.claim.text;
}

/** Remembers what this instance wanted last, so each backend needs one of its own. */
export class TableSync {
  readonly #system: System;
  readonly #onForeign: (table: string) => void;
  /** What this instance wanted of each table when that was last in place. To want the same again is no reason to write. */
  readonly #settled = new Map<string, TableShape>();
  /** Tables of other versions that are logged already. */
  readonly #logged = new Set<string>();

  /** `onForeign` gets, once for each text, a table that another version wrote and that this one does not change. */
  constructor(system: System, onForeign: (table: string) => void) {
    this.#system = system;
    this.#onForeign = onForeign;
  }

  /** One transaction for all. Resolves to whether anything had to change; rejects with what `Backend.apply` does. */
  async apply(tables: readonly Table[]): Promise<boolean> {
    let stale = await this.#staleOf(tables);
    if (stale.length === 0) return false;
    for (let left = WRITES; stale.length > 0; left--) {
      if (left === 0) throw new ReadBackError(`table inet ${stale[0]?.table.name}`);
      await this.#write(stale);
      for (const { table } of stale) this.#settled.set(table.name, claimText(table));
      stale = await this.#staleOf(stale.map(({ table }) => table));
    }
    return true;
  }

  async #staleOf(tables: readonly Table[]): Promise<StaleTable[]> {
    const stale: StaleTable[] = [];
    for (const table of tables) {
      const held = await listTable(this.#system, table.name);
      if (!this.#isRight(table, held)) stale.push({ table, held });
    }
    return stale;
  }

  #isRight(table: Table, held: string | undefined): boolean {
    const { name } = table;
    const wanted = claimText(table);
    if (shapeInText(held) === shapeOf(table)) {
      this.#settled.set(name, wanted);
      return true;
    }
    const isNews = !this.#settled.has(name) || this.#settled.get(name) !== wanted;
    if (isNews || held === undefined || !isAsDeclared(held)) return false;
    if (table.claim !== undefined && !isClaimMet(table.claim, addressesIn(held))) return false;
    const text = `${name} ${shapeInText(held)}`;
    if (!this.#logged.has(text)) this.#onForeign(name);
    this.#logged.add(text);
    return true;
  }

  /** Keeps the elements of a table's sets, the connections that the kernel remembers, unless the sets have to change. */
  async #write(stale: readonly StaleTable[]): Promise<void> {
    const anew = stale.map(({ table }) => ({ table }));
    const gently = stale.map(({ table, held }) => {
      const going = held === undefined ? undefined : goingOf(table, held);
      return going === undefined ? { table } : { table, going };
    });
    if (!gently.some((change) => 'going' in change)) return writeTables(this.#system, anew);
    try {
      await writeTables(this.#system, gently);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      await writeTables(this.#system, anew);
    }
  }
}
