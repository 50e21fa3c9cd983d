/**
 * Reads rules without those that kube-proxy has for each Service and endpoint, which take nft and iptables hundreds of MB on
 * a large cluster. The text is as `rules.ts` has it, so that the same checks read both. Changes nothing.
 */
import { formatAddress } from '../../../agent/base/address.ts';
import { isOwnTable } from '../../firewall/nft/list.ts';
import { factsOf } from '../../netlink/expressions.ts';
import type { BaseChain, SetElement, TableName } from '../../netlink/nf-objects.ts';
import type { NfTables } from '../../netlink/nf-tables.ts';
import { CommandError } from '../../node/exec.ts';
import type { System } from '../../node/system.ts';
import { SERVICE_NAMES } from '../services.ts';

const PROXY_TABLE = 'kube-proxy';
/** kube-proxy's chains in iptables' nat table. The first has a rule for each ClusterIP and port. */
const PROXY_CHAIN = 'KUBE-SERVICES';
const PROXY_CHAINS = 'KUBE-';
/** Maps of kube-proxy's nftables mode: keys are ClusterIP, protocol and port. */
const PROXY_MAPS = ['service-ips', 'no-endpoint-services'];
const PROTOCOLS: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** Whether this is a table of kube-proxy's nftables mode. */
export function isProxyTable({ table }: TableName): boolean {
  return table === PROXY_TABLE;
}

/** A table of our own as `nft list table` shows it, empty where it is gone. */
export async function ownTable(nfTables: NfTables, name: TableName): Promise<string | undefined> {
  if (!isOwnTable(name.family, name.table)) return undefined;
  return (await nfTables.heldTable(name.table)) ?? '';
}

/** kube-proxy's table: its base chains, and of its Services those that lead to kube-dns. */
export async function proxyTable(
  nfTables: NfTables,
  { family, table }: TableName,
  base: readonly BaseChain[],
): Promise<string> {
  const chains = base.filter((chain) => chain.family === family && chain.table === table);
  const elements: string[] = [];
  for (const map of PROXY_MAPS)
    for (const element of await nfTables.elementsWith({ family, table }, map, namesWith('/', '')))
      elements.push(...elementText(element, family === 'ip6' ? 16 : 4));
  return [
    `table ${family} ${table} {`,
    ...elements.map((text) => `\t\t${text}`),
    ...chains.flatMap(({ name, type, hook, prio, policy }) => [
      `\tchain ${name} {`,
      `\t\ttype ${type} hook ${hook} priority ${prio}; policy ${policy};`,
      '\t}',
    ]),
    '\tchain services {',
    '\t}',
    '}\n',
  ].join('\n');
}

function namesWith(before: string, after: string): string[] {
  return SERVICE_NAMES.map((name) => `${before}${name}${after}`);
}

function elementText({ key, chain, comment }: SetElement, addressBytes: number): string[] {
  const [protocol, port] = [key[addressBytes] ?? 0, key.subarray(addressBytes + 4)];
  if (!namesWith('/', '').some((name) => chain.includes(name) || comment.includes(name))) return [];
  const number = ((port[0] ?? 0) << 8) | (port[1] ?? 0);
  const said = comment === '' ? '' : `comment "${comment}" `;
  const address = formatAddress(key.subarray(0, addressBytes));
  const verdict = chain === '' ? 'drop' : `goto ${chain}`;
  return [`${address} . ${PROTOCOLS[protocol] ?? protocol} . ${number} ${said}: ${verdict}`];
}

/**
 * A table of iptables-nft as iptables-save shows it, undefined where it is not, or not only, iptables' or there is no
 * iptables. Of the nat table that kube-proxy uses: the chains of others, and its rules for kube-dns.
 */
export async function iptablesTable(
  system: System,
  nfTables: NfTables,
  name: TableName,
): Promise<string | undefined> {
  const isProxys = name.table === 'nat' && (await nfTables.hasChain(name, PROXY_CHAIN));
  const lines = isProxys
    ? await natLines(system, nfTables, name)
    : await listed(system, name, undefined);
  if (lines === undefined) return undefined;
  const saved = lines.split('\n').flatMap((line) => savedLine(line));
  return [`*${name.table}`, ...saved, 'COMMIT\n'].join('\n');
}

async function natLines(
  system: System,
  nfTables: NfTables,
  name: TableName,
): Promise<string | undefined> {
  const parts: string[] = [];
  for (const chain of await nfTables.chainsOf(name, PROXY_CHAINS)) {
    const lines = await listed(system, name, chain);
    if (lines === undefined) return undefined;
    parts.push(lines);
  }
  parts.push(`-N ${PROXY_CHAIN}`);
  const width = name.family === 'ip6' ? 128 : 32;
  for (const rule of await nfTables.rulesWith(name, PROXY_CHAIN, namesWith('/', ':'))) {
    const { addresses, comment } = factsOf(rule);
    for (const ip of addresses)
      parts.push(`-A ${PROXY_CHAIN} -d ${ip}/${width} -m comment --comment "${comment}"`);
  }
  return parts.join('\n');
}

/** Undefined where iptables is missing or cannot read the table. A chain that is gone has no lines. */
async function listed(
  { run }: System,
  { family, table }: TableName,
  chain: string | undefined,
): Promise<string | undefined> {
  const args = ['-t', table, '-S', ...(chain === undefined ? [] : [chain])];
  try {
    return await run(`${family}tables-nft`, args);
  } catch (error) {
    if (!(error instanceof CommandError) || error.isKilled) throw error;
    if (/No chain\/target\/match/.test(error.stderr)) return '';
    if (error.exitCode === undefined || /incompatible/.test(error.stderr)) return undefined;
    throw error;
  }
}

/** `-P INPUT ACCEPT` and `-N X` as iptables-save has them: `:INPUT ACCEPT [0:0]`, `:X - [0:0]`. */
function savedLine(line: string): string[] {
  const [, what, chain, policy = '-'] = /^-([PN]) (\S+)(?: (\S+))?/.exec(line) ?? [];
  if (what !== undefined) return [`:${chain} ${policy} [0:0]`];
  return line.startsWith('-A ') ? [line] : [];
}
