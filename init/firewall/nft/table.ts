/** An nft table of our own as data: its text, and what of it the kernel holds. */
import { createHash } from 'node:crypto';
import type { TableName } from '../../netlink/nf-objects.ts';
import { CommandError, type Run } from '../../node/exec.ts';
import type { System } from '../../node/system.ts';
import { isRuleComment, ruleComment } from '../rule-comment.ts';

/** One rule: what it matches, and what happens to a packet that it matches and counts. */
export interface TableRule {
  /** Unique in its table, `[a-z0-9-]+`. */
  readonly id: string;
  readonly match: string;
  readonly action: string;
}

/** A base chain with policy accept; a lower `priority` sees a packet earlier (nft(8)). */
export interface TableChain {
  readonly name: string;
  readonly type: 'filter' | 'route' | 'nat';
  readonly hook: 'prerouting' | 'input' | 'output' | 'postrouting';
  readonly priority: number;
  readonly rules: readonly TableRule[];
}

/** A set that rules fill and read, as `text` between its braces says. Another text needs another name. */
export interface TableSet {
  readonly name: string;
  readonly text: string;
}

/** A table of family inet; without chains it must not exist. */
export interface Table {
  readonly name: string;
  readonly sets?: readonly TableSet[];
  readonly chains: readonly TableChain[];
  readonly claim?: Claim;
}

/** What an instance wants of a table that also has rules for kept local IPs. Absent: all of it. */
export interface Claim {
  /** Changes when the instance itself wants other rules. */
  readonly text: string | undefined;
  /** Local IPs that the table has to name, whichever instance wrote it. */
  readonly needs: readonly string[];
  /** Local IPs that it must not name. */
  readonly shuns: readonly string[];
}

/** Whether rules that name `addresses` meet the claim. */
export function isClaimMet(
  { needs, shuns }: Omit<Claim, 'text'>,
  addresses: Iterable<string>,
): boolean {
  const named = new Set(addresses);
  return needs.every((ip) => named.has(ip)) && !shuns.some((ip) => named.has(ip));
}

/** The comment that a rule carries: it changes with every word of the rule. */
export function tableComment({ id, match, action }: TableRule): string {
  return ruleComment(
    id,
    action === 'notrack' || action === 'accept' ? match : `${match} ${action}`,
  );
}

/** A rule as a line of a chain. */
export function tableLine(rule: TableRule): string {
  return `${rule.match} counter ${rule.action} comment "${tableComment(rule)}"`;
}

/** The table as `nft list` would show it; empty where it must not exist. */
export function tableText(table: Table): string {
  const { name, sets = [], chains } = table;
  if (chains.length === 0) return '';
  const blocks = chains.map((chain) => {
    const lines = chain.rules.map((rule) => `    ${tableLine(rule)}\n`).join('');
    return `  chain ${chain.name} {\n    ${baseText(chain)}\n${lines}  }\n`;
  });
  const declared = `  chain ${declaredChain(table)} {\n  }\n`;
  const filled = sets.map((set) => `  set ${set.name} {\n    ${set.text}\n  }\n`);
  return `table inet ${name} {\n${[...filled, declared, ...blocks].join('')}}\n`;
}

/** Deleting needs the table to be there: `add` before `delete` makes it so in the same transaction. */
export function replaceTable(table: Table): string {
  const { name } = table;
  return `add table inet ${name}\ndelete table inet ${name}\n${tableText(table)}`;
}

/**
 * What of a table that exists with the text `held` has to go, `chain NAME` and `set NAME` in this order, so that sets that
 * stay keep their elements. Undefined where the table has to be replaced.
 */
export function goingOf(table: Table, held: string): string[] | undefined {
  const { sets = [], chains } = table;
  if (sets.length === 0 || chains.length === 0) return undefined;
  const kept = new Set(sets.map((set) => `set ${set.name}`));
  const old = [...held.matchAll(/^\s*((?:chain|set) \S+) \{/gm)].map((match) => match[1] as string);
  // Chains first: the kernel does not delete a set that a rule uses.
  return old.filter((what) => !kept.has(what)).toSorted();
}

/** As `replaceTable`, for a table that keeps what is not `going`. */
export function rewriteText(table: Table, going: readonly string[]): string {
  const { name } = table;
  const deletions = going.map((what) => `delete ${what.replace(' ', ` inet ${name} `)}\n`);
  return `flush table inet ${name}\n${deletions.join('')}${tableText(table)}`;
}

/**
 * As `replaceTable`, as one line for `nft -i`, where each line is a transaction. The process that reads the line then owns
 * the table.
 */
export function ownedTableLine({ name, chains }: Table): string {
  const table = `add table inet ${name} { flags owner; }`;
  const commands = chains.flatMap((chain) => [
    `add chain inet ${name} ${chain.name} { ${baseText(chain)} }`,
    ...chain.rules.map((rule) => `add rule inet ${name} ${chain.name} ${tableLine(rule)}`),
  ]);
  const anew = chains.length === 0 ? [] : [table, ...commands];
  return [table, `delete table inet ${name}`, ...anew].join('; ');
}

function baseText({ type, hook, priority }: TableChain): string {
  return `type ${type} hook ${hook} priority ${priority}; policy accept;`;
}

/** What distinguishes a table from others: sets, chains, hooks, and the rules' comments in order. */
export type TableShape = string | undefined;

/** The shape that the kernel has to show for `table`; undefined where the table must not exist. */
export function shapeOf({ sets = [], chains }: Table): TableShape {
  if (chains.length === 0) return undefined;
  const ofChains = chains.map((chain) =>
    [chain.name, baseText(chain), ...chain.rules.map(tableComment)].join(' '),
  );
  return [...sets.map((set) => `set ${set.name}`), ...ofChains].sort().join('\n');
}

/**
 * The table as text, without the elements of its named sets; undefined where it does not exist. By netlink where there is
 * the addon (`heldTable`). Rejects with `CommandError`.
 */
export function listTable({ run, nfTables }: System, name: string): Promise<string | undefined> {
  return nfTables === undefined ? printTable(run, name) : nfTables.heldTable(name);
}

/** As `listTable`, but by nft with every word of its rules. Not as JSON: nft 1.0.6 prints the owner flag as garbage there. */
export async function printTable(run: Run, name: string): Promise<string | undefined> {
  try {
    return await run('nft', ['-a', '-y', '-t', 'list', 'table', 'inet', name]);
  } catch (error) {
    const absent = error instanceof CommandError && error.stderr.includes('No such file');
    if (absent) return undefined;
    throw error;
  }
}

/** Shape of a table from the text of `listTable`. A rule without a comment of ours counts as `?`. */
export function shapeInText(text: string | undefined): TableShape {
  if (text === undefined) return undefined;
  const [head = '', ...chains] = text.split(/^\s*chain /m);
  const sets = [...head.matchAll(/^\s*(set \S+) /gm)].map((match) => match[1] as string);
  const shapes = chains
    .filter((chain) => !chain.startsWith(DECLARED))
    .map((chain) => {
      const name = chain.split(' ', 1)[0];
      const base = /type .*;/.exec(chain)?.[0] ?? '';
      const [, ...rules] = chain.slice(chain.indexOf(base)).split('\n');
      // A long set of addresses takes several lines, but every rule ends with its handle.
      const ends = rules.filter((line) => / # handle \d+$/.test(line));
      return [name, base, ...ends.map(commentIn)].join(' ');
    });
  return [...sets, ...shapes].sort().join('\n');
}

/**
 * Prefix of an empty chain whose name has the fingerprint of the table as its writer left it. So each instance can
 * distinguish a damaged table from one of another version.
 */
const DECLARED = 'declared_';

/** The name of the empty chain that says what the table's writer put there. */
export function declaredChain(table: Table): string {
  return `${DECLARED}${fingerprint(shapeOf(table))}`;
}

/** Whether the table is as its writer left it. */
export function isAsDeclared(text: string): boolean {
  return text.includes(`chain ${DECLARED}${fingerprint(shapeInText(text))} `);
}

function fingerprint(shape: TableShape): string {
  return createHash('sha256')
    .update(shape ?? '')
    .digest('hex')
    .slice(0, 8);
}

function commentIn(line: string): string {
  const comment = /comment "([^"]*)"/.exec(line)?.[1];
  return isRuleComment(comment) ? comment : '?';
}

/** Names of all tables of family inet. Rejects with `CommandError`. */
export async function inetTables(system: System): Promise<string[]> {
  const tables = await allTables(system);
  return tables.filter(({ family }) => family === 'inet').map(({ table }) => table);
}

/** All tables. Rejects with `CommandError`. nft 1.0.6 reads the whole ruleset to print the names of the tables. */
export async function allTables({ run, nfTables }: System): Promise<TableName[]> {
  if (nfTables !== undefined) return nfTables.tables();
  const text = await run('nft', ['list', 'tables']);
  return [...text.matchAll(/^table (\S+) (\S+)$/gm)].map(([, family = '', table = '']) => ({
    family,
    table,
  }));
}

/** A bit or mask of the packet's mark as nft reads it. */
export function hex(mark: number): string {
  return `0x${(mark >>> 0).toString(16)}`;
}

/** Matches packets that have these bits of the mark. */
export function hasBits(mark: number): string {
  return `meta mark & ${hex(mark)} == ${hex(mark)}`;
}
