/** The same rules through iptables: chains of our own, one `iptables-restore --noflush` for each family. */
import type { Family } from '../../../agent/base/address.ts';
import type { System } from '../../node/system.ts';
import { NO_RULES, type RuleSet } from '../../plan/plan.ts';
import { addressesIn, type Backend, ReadBackError, type Role } from '../backend.ts';
import { orphanLines } from './empty-chains.ts';
import {
  hasDroppingChain,
  hasNodeLocalDnsRules,
  hasOwnChains,
  inetOf,
  iptablesChains,
  legacyTables,
} from './presence.ts';
import {
  claimOf,
  EMPTY_TABLE,
  editsOf,
  type FamilyRules,
  familyPart,
  HOST_QUERY_CHAIN,
  isKept,
  isOfAnother,
  nodeLocalDnsEdits,
  nodeLocalDnsLines,
  type OwnChain,
  ownChains,
  ownLines,
  parseSaved,
  removalEdits,
  type SavedTable,
  standingLines,
  TABLES,
  type TableName,
  tableIn,
} from './text.ts';

/** Which kernel interface the program writes to: nf_tables or the older x_tables (xtables-nft(8)). */
export type IptablesKind = 'nft' | 'legacy';

/** How long a command waits for the lock of legacy iptables; the event loop does not wait. */
const LOCK_WAIT_SECONDS = '5';
/** For a release, which an `apply` follows. */
const RELEASE_WAIT_SECONDS = '1';

interface FamilyState {
  readonly family: Family;
  readonly tables: ReadonlyMap<TableName, SavedTable>;
}

interface Edits {
  readonly script: string;
  /** Our chains once the script has run, by family and table. */
  readonly wanted: ReadonlyMap<string, string>;
}

/**
 * Rules by `iptables-nft` or `iptables-legacy`. Reading a legacy table creates it, so init reads only those that
 * exist.
 */
export class Iptables implements Backend {
  readonly name: string;
  readonly #system: System;
  readonly #kind: IptablesKind;
  readonly #onForeign: (table: string) => void;
  readonly #role: Role;
  /** Chains that were wanted when they were last in place, by family and table. */
  readonly #settled = new Map<string, string>();
  readonly #logged = new Set<string>();
  /** Families with host query rules after the last `apply`. */
  #hostFamilies: readonly Family[] = [];

  /** `onForeign`: see `TableSync`; here it gets an iptables table with our chains. */
  constructor(
    system: System,
    kind: IptablesKind,
    onForeign: (table: string) => void = () => undefined,
    role: Role = 'main',
  ) {
    this.name = `iptables-${kind}`;
    this.#system = system;
    this.#kind = kind;
    this.#onForeign = onForeign;
    this.#role = role;
  }

  async apply(rules: RuleSet): Promise<boolean> {
    const ofHost = rules.query.filter((rule) => rule.hook === 'output');
    this.#hostFamilies = [...new Set(ofHost.map((rule) => rule.family))];
    let changed = false;
    for (const family of [4, 6] as const) {
      const ofFamily = familyPart(rules, family);
      if (!(await this.#exists(family, ofFamily))) continue;
      changed = (await this.#settle(family, ofFamily)) || changed;
    }
    return changed;
  }

  /**
   * Removes the host's query rules at once; those for pods end with the agent's sockets. It reads nothing before or
   * after, so an `apply` has to follow. Never rejects.
   */
  async release(): Promise<void> {
    const script = `*raw\n-F ${HOST_QUERY_CHAIN}\nCOMMIT\n`;
    const args = ['-w', RELEASE_WAIT_SECONDS, '--noflush'];
    const { run } = this.#system;
    await Promise.allSettled(
      this.#hostFamilies.map((family) => run(this.#program(family, 'restore'), args, script)),
    );
  }

  async #settle(family: Family, rules: FamilyRules): Promise<boolean> {
    const { script, wanted } = await this.#edits(family, rules);
    if (script !== '') {
      await this.#restore(family, script);
      if ((await this.#edits(family, rules)).script !== '')
        throw new ReadBackError(`${this.name} chains NODENS-* of IPv${family}`);
    }
    for (const [key, text] of wanted) this.#settled.set(key, text);
    return script !== '';
  }

  removeAll(): Promise<readonly string[]> {
    return this.#remove(removalEdits);
  }

  /** Removes only rules of a node-local-dns; resolves to one line for each. */
  removeNodeLocalDns(): Promise<readonly string[]> {
    return this.#remove(nodeLocalDnsEdits);
  }

  /** Rules of a node-local-dns. */
  async nodeLocalDnsRules(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const family of [4, 6] as const) {
      const isAbsent =
        this.#nfTables !== undefined && !(await hasNodeLocalDnsRules(this.#nfTables, family));
      if (isAbsent) continue;
      for (const saved of (await this.#read(family)).tables.values())
        lines.push(...nodeLocalDnsLines(saved));
    }
    return lines;
  }

  async #remove(edits: (saved: SavedTable) => string[]): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const family of [4, 6] as const) {
      const state = await this.#read(family);
      const script = scriptOf(state, edits);
      if (script === '') continue;
      await this.#restore(family, script);
      removed.push(...script.split('\n').filter((line) => line.startsWith('-D')));
      if (this.#kind === 'nft') removed.push(...(await this.#dropOrphans(state)));
    }
    return removed;
  }

  async localIps(): Promise<readonly string[]> {
    const addresses: string[] = [];
    for (const family of [4, 6] as const)
      addresses.push(...addressesIn(ownLines(await this.#raw(family)).join('\n')));
    return addresses;
  }

  /** Local IPs that standing rules in the kernel name. */
  async standingIps(): Promise<readonly string[]> {
    const addresses: string[] = [];
    for (const family of [4, 6] as const)
      addresses.push(...addressesIn(standingLines(await this.#raw(family)).join('\n')));
    return addresses;
  }

  explain(rules: RuleSet): string {
    const texts = ([4, 6] as const).map((family) => {
      const tables = new Map(TABLES.map((table) => [table, EMPTY_TABLE]));
      const script = scriptOf({ family, tables }, (saved, table) =>
        editsOf(saved, this.#chains(table, familyPart(rules, family), saved), () => true),
      );
      return script === '' ? '' : `# ${this.#program(family, 'restore')} --noflush\n${script}`;
    });
    return texts.join('');
  }

  /** Whether there is something to read: reading a legacy table creates it, and reading costs time. */
  async #exists(family: Family, { query, standing }: FamilyRules): Promise<boolean> {
    if (this.#role === 'main' && query.length + standing.length > 0) return true;
    if (this.#kind === 'legacy') return (await legacyTables(this.#system, family)).length > 0;
    const { nfTables } = this.#system;
    // iptables-nft takes its time where the node has many rules.
    return (
      nfTables === undefined ||
      (await hasOwnChains(nfTables, family)) ||
      (await hasDroppingChain(nfTables, family))
    );
  }

  #chains(table: TableName, rules: FamilyRules, saved: SavedTable): OwnChain[] {
    return this.#role === 'helper' && table === 'raw' ? [] : ownChains(table, rules, saved);
  }

  async #edits(family: Family, rules: FamilyRules): Promise<Edits> {
    const state = await this.#read(family);
    const exists = this.#kind === 'nft' ? await this.#baseChains(family) : () => true;
    const wanted = new Map<string, string>();
    const script = scriptOf(state, (saved, table) => {
      const chains = this.#chains(table, rules, saved);
      const own = this.#chains(table, { ...rules, kept: NO_RULES.kept }, saved);
      const [key, text] = [`${family} ${table}`, claimOf(own, rules.kept)];
      wanted.set(key, text);
      const needed = this.#role === 'main' ? rules.standing : [];
      const isSettled = this.#settled.get(key) === text && isKept(table, needed, rules.kept, saved);
      if (isSettled && isOfAnother(saved, chains))
        this.#reportForeign(`${this.name} ${table}`, saved);
      return editsOf(saved, chains, (base) => exists(table, base), isSettled);
    });
    return { script, wanted };
  }

  #reportForeign(table: string, saved: SavedTable): void {
    const text = `${table} ${ownLines(saved).map((line) => line.replace(/^.*--comment/, ''))}`;
    if (!this.#logged.has(text)) this.#onForeign(table);
    this.#logged.add(text);
  }

  async #read(family: Family, names: readonly TableName[] = TABLES): Promise<FamilyState> {
    const present =
      this.#kind === 'nft' ? TABLES : await legacyTables(this.#system, family).then(ours);
    const tables = new Map<TableName, SavedTable>();
    for (const table of names) {
      tables.set(
        table,
        present.includes(table) ? await this.#readTable(family, table) : EMPTY_TABLE,
      );
    }
    return { family, tables };
  }

  /** iptables-legacy -S would wait for the lock. */
  async #readTable(family: Family, table: TableName): Promise<SavedTable> {
    const { run } = this.#system;
    if (this.#kind === 'legacy')
      return parseSaved(await run(this.#program(family, 'save'), ['-t', table]), table);
    return tableIn(await run(`${inetOf(family)}tables-nft`, ['-t', table, '-S']));
  }

  /** Empty where it has no chains of ours. */
  async #raw(family: Family): Promise<SavedTable> {
    const isAbsent = this.#nfTables !== undefined && !(await hasOwnChains(this.#nfTables, family));
    const state = isAbsent ? undefined : await this.#read(family, ['raw']);
    return state?.tables.get('raw') ?? EMPTY_TABLE;
  }

  /** Undefined where these rules are legacy iptables', or there is no addon. */
  get #nfTables(): System['nfTables'] {
    return this.#kind === 'nft' ? this.#system.nfTables : undefined;
  }

  async #restore(family: Family, script: string): Promise<void> {
    const args = ['-w', LOCK_WAIT_SECONDS, '--noflush'];
    await this.#system.run(this.#program(family, 'restore'), args, script);
  }

  #program(family: Family, what: 'save' | 'restore'): string {
    return `${inetOf(family)}tables-${this.#kind}-${what}`;
  }

  /** iptables-nft shows base chains that do not exist; only nf_tables itself shows which do. */
  async #baseChains(family: Family): Promise<(table: TableName, base: string) => boolean> {
    const chains = await iptablesChains(this.#system, family);
    if (chains === undefined) return () => true;
    return (table, base) => chains.some((c) => c.table === table && c.name === base);
  }

  /** Takes away base chains, then tables, that only held what was just removed. */
  async #dropOrphans(before: FamilyState): Promise<string[]> {
    const { family } = before;
    const chains = await iptablesChains(this.#system, family);
    if (chains === undefined) return [];
    const { tables: after } = await this.#read(family);
    const lines = orphanLines(inetOf(family), chains, before.tables, after);
    if (lines.length > 0) await this.#system.run('nft', ['-f', '-'], `${lines.join('\n')}\n`);
    return lines;
  }
}

function ours(names: readonly string[]): TableName[] {
  return TABLES.filter((table) => names.includes(table));
}

function scriptOf(
  { tables }: FamilyState,
  edits: (saved: SavedTable, table: TableName) => string[],
): string {
  return [...tables]
    .map(([table, saved]) => [table, edits(saved, table)] as const)
    .filter(([, lines]) => lines.length > 0)
    .map(([table, lines]) => `*${table}\n${lines.join('\n')}\nCOMMIT\n`)
    .join('');
}
