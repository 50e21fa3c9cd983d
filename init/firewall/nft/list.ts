/** `nft -j list …` as typed data: only the fields we look at. */
import type { Run } from '../../node/exec.ts';
import type { System } from '../../node/system.ts';
import { isRuleComment, OWN_COMMENT } from '../rule-comment.ts';

/** A `table` object (libnftables-json(5)). */
export interface NftTable {
  readonly family: string;
  readonly name: string;
}

/** A `chain` object (libnftables-json(5)). */
export interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Base chains only. */
  readonly type?: string;
  readonly hook?: string;
  readonly prio?: number;
  readonly policy?: string;
}

/** A `rule` object (libnftables-json(5)); `handle` names the rule where one is deleted. */
export interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly comment?: string;
}

/** The objects of one listing, by kind; other kinds are left out. */
export interface NftListing {
  readonly tables: readonly NftTable[];
  readonly chains: readonly NftChain[];
  readonly rules: readonly NftRule[];
}

interface NftObject {
  readonly table?: NftTable;
  readonly chain?: NftChain;
  readonly rule?: NftRule;
}

/** Lists `what` (`['table', 'inet', 'x']`, `['chains']`). Rejects with `CommandError` where it does not exist. */
export async function listNft(run: Run, what: readonly string[]): Promise<NftListing> {
  const text = await run('nft', ['-j', 'list', ...what]);
  const objects = (JSON.parse(text) as { nftables: readonly NftObject[] }).nftables;
  return {
    tables: objects.flatMap((object) => object.table ?? []),
    chains: objects.flatMap((object) => object.chain ?? []),
    rules: objects.flatMap((object) => object.rule ?? []),
  };
}

/** What our own tables, all of family inet, are named after. */
export const OWN_TABLE_PREFIX = 'nodens_';

/** Whether any version or instance of nodens made the table, by its name. */
export function isOwnTable(family: string, table: string): boolean {
  return family === 'inet' && table.startsWith(OWN_TABLE_PREFIX);
}

/** Whether a chain belongs to iptables-nft, which must then be the one to edit it. */
export function isIptablesChain(chain: NftChain): boolean {
  return /^ip6?$/.test(chain.family) && /^(INPUT|OUTPUT|PREROUTING|FORWARD)$/.test(chain.name);
}

/** Chains of type filter that see packets, of any program. Rejects with `CommandError`. */
export async function filterChains({ run, nfTables }: System): Promise<readonly NftChain[]> {
  if (nfTables !== undefined) return nfTables.baseChains(['filter']);
  const { chains } = await listNft(run, ['chains']);
  return chains.filter(({ type }) => type === 'filter');
}

/** Rules of ours in a chain of another program. Rejects with `CommandError`. */
export async function ownRulesIn(
  { run, nfTables }: System,
  { family, table, name }: NftChain,
): Promise<readonly NftRule[]> {
  if (nfTables !== undefined) return nfTables.commentedRules({ family, table }, name, OWN_COMMENT);
  const { rules } = await listNft(run, ['chain', family, table, name]);
  return rules.filter(({ comment }) => isRuleComment(comment));
}
