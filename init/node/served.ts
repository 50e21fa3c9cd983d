/** Recognises whether kube-proxy, or another program that translates addresses by netfilter, serves a ClusterIP. */
import { familyOf } from '../../agent/base/address.ts';
import { isOwnTable } from '../firewall/nft/list.ts';
import type { TableName } from '../netlink/nf-objects.ts';
import { type NfTables, valuesOf } from '../netlink/nf-tables.ts';
import { CommandError } from './exec.ts';
import type { System } from './system.ts';

/** Sets and maps of kube-proxy's nftables mode whose keys begin with a ClusterIP. */
const PROXY_SETS = ['service-ips', 'no-endpoint-services', 'cluster-ips'];
const PROXY_TABLE = 'kube-proxy';
/** The chain of kube-proxy's iptables mode that has a rule for each ClusterIP and port. */
const PROXY_CHAIN = 'KUBE-SERVICES';
const IPTABLES_NAT = 'nat';

/**
 * Whether NAT rules of another program name `address`, as kube-proxy's rules name every ClusterIP. Call it until the result
 * is true, not periodically: legacy iptables can only be read as a whole. Rejects with `CommandError` where the kernel
 * does not answer, or where it ends a program for memory.
 */
export async function isServed(system: System, address: string): Promise<boolean> {
  const { nfTables } = system;
  const byNft =
    nfTables === undefined ? await isListed(system, address) : await isInTables(nfTables, address);
  return byNft || (await isInLegacy(system, address));
}

/** kube-proxy's tables by one set or chain. Of others, which are small, all rules and sets. */
async function isInTables(nfTables: NfTables, address: string): Promise<boolean> {
  const families = ['inet', familyOf(address) === 6 ? 'ip6' : 'ip'];
  const chains = await nfTables.baseChains(['nat']);
  const tables = new Map<string, TableName>(
    chains.map(({ family, table }) => [`${family} ${table}`, { family, table }]),
  );
  for (const name of tables.values())
    if (families.includes(name.family) && !isOwnTable(name.family, name.table))
      if (await isInTable(nfTables, name, address)) return true;
  return false;
}

async function isInTable(nfTables: NfTables, name: TableName, address: string): Promise<boolean> {
  if (name.table === PROXY_TABLE) {
    const sets = await nfTables.setsOf(name);
    const known = PROXY_SETS.filter((set) => sets.includes(set));
    // A kube-proxy whose sets have other names is read as a whole.
    if (known.length > 0) return isInSets(nfTables, name, known, address);
  }
  const needles = valuesOf(address);
  if (name.table === IPTABLES_NAT && (await nfTables.hasChain(name, PROXY_CHAIN)))
    return nfTables.hasRule(name, needles, PROXY_CHAIN);
  if (await nfTables.hasRule(name, needles)) return true;
  return isInSets(nfTables, name, await nfTables.setsOf(name), address);
}

async function isInSets(
  nfTables: NfTables,
  name: TableName,
  sets: readonly string[],
  address: string,
): Promise<boolean> {
  for (const set of sets) if (await nfTables.hasElement(name, set, address)) return true;
  return false;
}

async function isInLegacy(system: System, address: string): Promise<boolean> {
  const [names, program] = address.includes(':')
    ? (['/proc/net/ip6_tables_names', 'ip6tables-legacy-save'] as const)
    : (['/proc/net/ip_tables_names', 'iptables-legacy-save'] as const);
  const hasNat = /^nat$/m.test((await system.read(names)) ?? '');
  return hasNat && wordOf(address).test(await orNothing(system, program, ['-t', 'nat']));
}

/** Without the addon: nft prints all rules of the node. */
async function isListed(system: System, address: string): Promise<boolean> {
  const tables = (await orNothing(system, 'nft', ['list', 'ruleset'])).split(/^(?=table )/m);
  const translating = tables.filter((table) => /type nat hook/.test(table));
  const foreign = translating.filter((table) => !table.startsWith('table inet nodens_'));
  return foreign.some((text) => wordOf(address).test(text));
}

/** Empty where the program is missing or refuses. To be killed is no answer. */
async function orNothing({ run }: System, program: string, args: string[]): Promise<string> {
  try {
    return await run(program, args);
  } catch (error) {
    if (error instanceof CommandError && !error.isKilled) return '';
    throw error;
  }
}

/** The address, but not as a part of a longer one. */
function wordOf(address: string): RegExp {
  return new RegExp(`(?<![\\w.:])${address.replaceAll('.', '\\.')}(?![\\w.:])`);
}
