/** Query direction and standing rules as two nft tables of our own, exchanged in one transaction. */
import { addressesIn, type Backend, ReadBackError } from './backend.ts';
import { CommandError, type Run } from './exec.ts';
import { isOwnTable, listNft, OWN_TABLE_PREFIX } from './nft-list.ts';
import type { Rule, RuleSet } from './plan.ts';
import { tagOf } from './tag.ts';

const RAW_PRIORITY = -300;

/** A table's text in the order of its chains, or undefined where it should not or does not exist. */
type TableShape = string | undefined;

export class NftTables implements Backend {
  readonly name = 'nft';
  readonly #run: Run;
  readonly #instance: string;

  constructor(run: Run, instance: string) {
    this.#run = run;
    this.#instance = instance;
  }

  async apply(rules: RuleSet): Promise<boolean> {
    const stale = await this.#stale(rules);
    if (stale.length === 0) return false;
    await this.#run('nft', ['-f', '-'], stale.map(replaceTable).join(''));
    const [wrong] = await this.#stale(rules);
    if (wrong !== undefined) throw new ReadBackError(`table inet ${wrong.name}`);
    return true;
  }

  async removeAll(): Promise<readonly string[]> {
    const tables = await this.#ownTables();
    const script = tables.map((name) => replaceTable({ name, rules: [] })).join('');
    if (script !== '') await this.#run('nft', ['-f', '-'], script);
    return tables.map((name) => `nft table inet ${name}`);
  }

  async localIps(): Promise<readonly string[]> {
    const texts: string[] = [];
    for (const table of await this.#ownTables())
      texts.push(await this.#run('nft', ['list', 'table', 'inet', table]));
    return addressesIn(texts.join('\n'));
  }

  explain(rules: RuleSet): string {
    return this.#tables(rules).map(createTable).join('');
  }

  /** Names of our tables in the kernel, of any instance. */
  async #ownTables(): Promise<string[]> {
    const { tables } = await listNft(this.#run, ['tables']);
    return tables.filter(({ family, name }) => isOwnTable(family, name)).map(({ name }) => name);
  }

  #tables(rules: RuleSet): Table[] {
    return [
      { name: `${OWN_TABLE_PREFIX}query_${this.#instance}`, rules: rules.query },
      { name: `${OWN_TABLE_PREFIX}standing_${this.#instance}`, rules: rules.standing },
    ];
  }

  async #stale(rules: RuleSet): Promise<Table[]> {
    const stale: Table[] = [];
    for (const table of this.#tables(rules))
      if ((await this.#shapeInKernel(table.name)) !== shapeOf(table)) stale.push(table);
    return stale;
  }

  async #shapeInKernel(name: string): Promise<TableShape> {
    try {
      const { chains, rules } = await listNft(this.#run, ['table', 'inet', name]);
      return chains
        .map((chain) => {
          const comments = rules.filter((r) => r.chain === chain.name).map((r) => r.comment ?? '?');
          return chainShape(chain.name, chain.hook, chain.prio, chain.policy, comments);
        })
        .sort()
        .join('\n');
    } catch (error) {
      const absent = error instanceof CommandError && error.stderr.includes('No such file');
      if (absent) return undefined;
      throw error;
    }
  }
}

interface Table {
  readonly name: string;
  readonly rules: readonly Rule[];
}

function shapeOf(table: Table): TableShape {
  if (table.rules.length === 0) return undefined;
  return hooksOf(table.rules)
    .map(([hook, rules]) => chainShape(hook, hook, RAW_PRIORITY, 'accept', rules.map(nftTag)))
    .sort()
    .join('\n');
}

function chainShape(
  name: string,
  hook: string | undefined,
  priority: number | undefined,
  policy: string | undefined,
  comments: readonly string[],
): string {
  return [name, hook, priority, policy, ...comments].join(' ');
}

function hooksOf(rules: readonly Rule[]): [hook: string, rules: readonly Rule[]][] {
  return Object.entries(Object.groupBy(rules, (rule) => rule.hook));
}

/** Deleting needs the table to be there: `add` before `delete` makes it so in the same transaction. */
function replaceTable(table: Table): string {
  const { name } = table;
  return `add table inet ${name}\ndelete table inet ${name}\n${createTable(table)}`;
}

function createTable({ name, rules }: Table): string {
  if (rules.length === 0) return '';
  const chains = hooksOf(rules).map(([hook, ofHook]) => {
    const lines = ofHook.map((rule) => `    ${nftLine(rule)}\n`).join('');
    const base = `type filter hook ${hook} priority ${RAW_PRIORITY}; policy accept;`;
    return `  chain ${hook} {\n    ${base}\n${lines}  }\n`;
  });
  return `table inet ${name} {\n${chains.join('')}}\n`;
}

/** The comment that `nftLine` gives the rule. */
export function nftTag(rule: Rule): string {
  return tagOf(rule.id, nftMatch(rule));
}

/** A rule as a line of an nft chain. */
export function nftLine(rule: Rule): string {
  return `${nftMatch(rule)} counter ${rule.verdict} comment "${nftTag(rule)}"`;
}

/** Cheapest test first: nearly every packet of the node passes here and leaves at the port. */
function nftMatch(rule: Rule): string {
  const [address, port] = rule.side === 'source' ? ['saddr', 'sport'] : ['daddr', 'dport'];
  return [
    `${rule.protocol} ${port} ${rule.port}`,
    `${rule.family === 4 ? 'ip' : 'ip6'} ${address} { ${rule.addresses.join(', ')} }`,
    ...(rule.fromLoopback ? ['iifname "lo"'] : []),
    ...(rule.whileBound ? [SOCKET_MATCH[rule.protocol]] : []),
  ].join(' ');
}

/**
 * Both mean "a local socket would take this". A socket bound to the wildcard address is somebody else's, so UDP asks
 * for a specific one; TCP asks for what TIME_WAIT sockets can answer, too.
 */
const SOCKET_MATCH = { udp: 'socket wildcard 0', tcp: 'socket transparent 0' } as const;
