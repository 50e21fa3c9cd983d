/** Writes tables of our own: by netlink where the addon is there and each rule is one of ours, else by the program nft. */
import type { NfTables } from '../../netlink/nf-tables.ts';
import type { System } from '../../node/system.ts';
import { type Change, transactionOf } from './bytes/transaction.ts';
import { UnknownPhraseError } from './bytes/words.ts';
import { replaceTable, rewriteText, type Table } from './table.ts';

/** One transaction for all. Rejects with `CommandError`. */
export async function writeTables(system: System, changes: readonly Change[]): Promise<void> {
  const bytes = bytesOf(system.nfTables, changes, false);
  if (bytes === undefined) await system.run('nft', ['-f', '-'], changes.map(scriptOf).join(''));
  else await system.nfTables?.commit('tables of nodens', bytes);
}

/** Whether the kernel takes the tables, without making them; `script` is their text for nft. Rejects with `CommandError`. */
export async function tryTables(
  system: System,
  tables: readonly Table[] | undefined,
  script: string,
): Promise<void> {
  const changes = tables?.map((table) => ({ table }));
  const bytes = changes && bytesOf(system.nfTables, changes, true);
  if (bytes === undefined) await system.run('nft', ['--check', '-f', '-'], script);
  else await system.nfTables?.commit('trial of the tables', bytes);
}

/** Undefined where only nft can write them. */
function bytesOf(
  nfTables: NfTables | undefined,
  changes: readonly Change[],
  isTrial: boolean,
): Uint8Array | undefined {
  if (nfTables === undefined) return undefined;
  try {
    return transactionOf(changes, isTrial);
  } catch (error) {
    if (error instanceof UnknownPhraseError) return undefined;
    throw error;
  }
}

function scriptOf(change: Change): string {
  if ('emptied' in change) return `flush set inet ${change.table} ${change.emptied}\n`;
  if ('owned' in change) return `add table inet ${change.owned} { flags owner; }\n`;
  return 'going' in change ? rewriteText(change.table, change.going) : replaceTable(change.table);
}
