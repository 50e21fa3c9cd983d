/** What of iptables exists on the node, asked such that nothing is created and no large table is read. */
import type { Family } from '../../../agent/base/address.ts';
import { type NfTables, textOf } from '../../netlink/nf-tables.ts';
import { CommandError } from '../../node/exec.ts';
import type { System } from '../../node/system.ts';
import { listNft, type NftChain } from '../nft/list.ts';
import { NODE_LOCAL_DNS_TEXT, OWN, TABLES } from './text.ts';

/** nft's name for the family of an iptables program. */
export function inetOf(family: Family): 'ip' | 'ip6' {
  return family === 4 ? 'ip' : 'ip6';
}

/** Names of the legacy tables that exist, without creating any. */
export async function legacyTables(system: System, family: Family): Promise<string[]> {
  const text = await system.read(`/proc/net/${inetOf(family)}_tables_names`);
  return (text ?? '').split('\n').filter((name) => name !== '');
}

/** Chains in iptables-nft's raw and filter tables of one family, undefined where nf_tables cannot be asked. */
export async function iptablesChains(
  { run, nfTables }: System,
  family: Family,
): Promise<readonly NftChain[] | undefined> {
  const inet = inetOf(family);
  try {
    if (nfTables === undefined) return (await listNft(run, ['chains', inet])).chains;
    const base = await nfTables.baseChains(['filter']);
    const chains: NftChain[] = [];
    for (const table of TABLES)
      for (const name of await nfTables.chainsOf({ family: inet, table })) {
        const hooked = base.find(
          (chain) => chain.family === inet && chain.table === table && chain.name === name,
        );
        chains.push(hooked ?? { family: inet, table, name });
      }
    return chains;
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

/** Whether iptables-nft's tables of one family have chains of ours. */
export function hasOwnChains(nfTables: NfTables, family: Family): Promise<boolean> {
  return nfTables.hasChainLike(inetOf(family), OWN);
}

/** Whether a base chain of iptables-nft drops what no rule accepts. */
export async function hasDroppingChain(nfTables: NfTables, family: Family): Promise<boolean> {
  const chains = await nfTables.baseChains(['filter']);
  return chains.some(
    (chain) =>
      chain.family === inetOf(family) && chain.table === 'filter' && chain.policy === 'drop',
  );
}

/** Whether iptables-nft's tables of one family have rules of a node-local-dns. */
export async function hasNodeLocalDnsRules(nfTables: NfTables, family: Family): Promise<boolean> {
  for (const table of TABLES)
    if (await nfTables.hasRule({ family: inetOf(family), table }, textOf(NODE_LOCAL_DNS_TEXT)))
      return true;
  return false;
}
