/** Base chains and tables of iptables-nft that only held what init has removed. */
import type { NftChain } from '../nft/list.ts';
import { orphanCandidates, type SavedTable, type TableName } from './text.ts';

/** Tables by their name. */
type Saved = ReadonlyMap<TableName, SavedTable>;

/** Lines of nft that delete them; `chains` are all chains of these tables, `inet` is nft's name for the family. */
export function orphanLines(
  inet: 'ip' | 'ip6',
  chains: readonly NftChain[],
  before: Saved,
  after: Saved,
): string[] {
  return [...before].flatMap(([table, saved]) => {
    const there = chains.filter((chain) => chain.table === table);
    const orphans = there.filter(
      ({ name, policy }) =>
        orphanCandidates(saved).has(name) &&
        policy === 'accept' &&
        (after.get(table)?.rules.get(name) ?? []).length === 0,
    );
    const tableToo = orphans.length > 0 && orphans.length === there.length;
    return tableToo
      ? [`delete table ${inet} ${table}`]
      : orphans.map((chain) => `delete chain ${inet} ${table} ${chain.name}`);
  });
}
