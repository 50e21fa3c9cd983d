/** The agent's addon, of which init uses what is not about packets. */
import { createRequire } from 'node:module';
import type { PagesAddon } from '../agent/base/pages.ts';
import type { LendTable } from './alive/tables.ts';

/** What init uses of it. */
export interface InitAddon extends PagesAddon {
  /** Takes the exit status of a child that has ended and that nobody started (`agent/server/companions.c`). */
  reap(pid: number): void;
  readonly lendTable: LendTable;
}

/** Beside the bundle, or where the install script puts it in a source tree. */
const PLACES = ['../native/nodens.node', '../build/nodens.node'];

/** Undefined where it was not compiled: init is larger then, and that is all. */
export function initAddon(): InitAddon | undefined {
  const load = createRequire(import.meta.url);
  for (const place of PLACES) {
    try {
      return load(place) as InitAddon;
    } catch {
      // The next one, or none.
    }
  }
  return undefined;
}
