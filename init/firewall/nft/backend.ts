/**
 * Query and standing rules as nft tables of our own. If a query rule does not end with the agent's socket, all query
 * rules are in a table that the kernel drops when init ends, where it can (`TableOwner`).
 */

import type { System } from '../../node/system.ts';
import type { Rule, RuleSet } from '../../plan/plan.ts';
import { addressesIn, type Backend, ReadBackError, type Role } from '../backend.ts';
import { OWN_TABLE_PREFIX } from './list.ts';
import type { TableOwner } from './owner-process.ts';
import {
  hasBits,
  inetTables,
  listTable,
  ownedTableLine,
  shapeInText,
  shapeOf,
  type Table,
  type TableRule,
  tableComment,
  tableLine,
  tableText,
} from './table.ts';
import { TableSync } from './table-sync.ts';
import { OPENS_CONNECTION } from './tcp-affinity.ts';
import { writeTables } from './write.ts';

const RAW_PRIORITY = -300;

/** For query rules that need no owner, because each ends with the agent's socket, or that cannot have one. */
const QUERY_TABLE = `${OWN_TABLE_PREFIX}query_main`;
const STANDING_TABLE = `${OWN_TABLE_PREFIX}standing_main`;

/** The owner and the name, unique on the node, under which its tables are. */
export interface Ownership {
  readonly owner: TableOwner;
  readonly instance: string;
}

/** Query and standing rules by nft. As a helper it removes the query and standing tables that an earlier init made. */
export class NftTables implements Backend {
  readonly name = 'nft';
  readonly #system: System;
  readonly #ownership: Ownership | undefined;
  readonly #sync: TableSync;
  readonly #role: Role;
  /** Counts `release`: an `apply` that began before one must not install again what it removed. */
  #releases = 0;

  /** `onForeign`: see `TableSync`. */
  constructor(
    system: System,
    ownership: Ownership | undefined,
    onForeign: (table: string) => void = () => undefined,
    role: Role = 'main',
  ) {
    this.#system = system;
    this.#ownership = ownership;
    this.#sync = new TableSync(system, onForeign);
    this.#role = role;
  }

  /** Whether the kernel removes the host's query rules when init dies. */
  get isOwner(): boolean {
    return this.#ownership !== undefined;
  }

  async apply(rules: RuleSet): Promise<boolean> {
    const releases = this.#releases;
    const { owned, plain } = this.#tables(rules);
    const put = await this.#sync.apply(plain);
    const owns = owned !== undefined && (await this.#applyOwned(owned, releases));
    return put || owns;
  }

  /**
   * Removes the owned query rules at once, without waiting for an `apply` that runs: the owner ends, and the
   * kernel drops its table.
   */
  async release(): Promise<void> {
    this.#releases++;
    await this.#ownership?.owner.drop();
  }

  /** One table at a time: only the table of an init that still runs cannot be removed. */
  async removeAll(): Promise<readonly string[]> {
    const removed: string[] = [];
    const failures: unknown[] = [];
    for (const name of await this.#ownTables()) {
      try {
        await writeTables(this.#system, [{ table: { name, chains: [] } }]);
        removed.push(`nft table inet ${name}`);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return removed;
  }

  async localIps(): Promise<readonly string[]> {
    const texts: string[] = [];
    for (const table of await this.#ownTables())
      texts.push((await listTable(this.#system, table)) ?? '');
    return addressesIn(texts.join('\n'));
  }

  /** Local IPs that standing rules in the kernel name. */
  async standingIps(): Promise<readonly string[]> {
    return addressesIn((await listTable(this.#system, STANDING_TABLE)) ?? '');
  }

  explain(rules: RuleSet): string {
    return this.tables(rules).map(tableText).join('');
  }

  tables(rules: RuleSet): readonly Table[] {
    const { owned, plain } = this.#tables(rules);
    return [...(owned === undefined ? [] : [owned]), ...plain];
  }

  async #applyOwned(table: Table, releases: number): Promise<boolean> {
    if (await this.#isInPlace(table)) return false;
    try {
      return await this.#writeOwned(table, releases);
    } catch (error) {
      // A release meanwhile has ended the owner.
      if (releases !== this.#releases) return false;
      throw error;
    }
  }

  async #writeOwned(table: Table, releases: number): Promise<boolean> {
    if (releases !== this.#releases) return false;
    await (this.#ownership as Ownership).owner.execute(ownedTableLine(table), {
      table,
      isOwned: true,
    });
    if (!(await this.#isInPlace(table)) && releases === this.#releases)
      throw new ReadBackError(`table inet ${table.name}`);
    return true;
  }

  /** Names of our tables in the kernel, of any instance. */
  async #ownTables(): Promise<string[]> {
    const tables = await inetTables(this.#system);
    return tables.filter((name) => name.startsWith(OWN_TABLE_PREFIX));
  }

  #tables(rules: RuleSet): { owned: Table | undefined; plain: Table[] } {
    const { query, standing: own, kept } = rules;
    if (this.#role === 'helper')
      return { owned: undefined, plain: [tableOf(QUERY_TABLE, []), standingTable([], [], kept)] };
    const standing = standingTable(own, kept.standing, kept);
    if (this.#ownership === undefined)
      return { owned: undefined, plain: [tableOf(QUERY_TABLE, query), standing] };
    const needsOwner = query.some((rule) => !rule.whileBound);
    return {
      owned: tableOf(ownedName(this.#ownership.instance), needsOwner ? query : []),
      plain: [tableOf(QUERY_TABLE, needsOwner ? [] : query), standing],
    };
  }

  async #isInPlace(table: Table): Promise<boolean> {
    return shapeInText(await listTable(this.#system, table.name)) === shapeOf(table);
  }
}

function standingTable(
  own: readonly Rule[],
  others: readonly Rule[],
  { removedIps }: RuleSet['kept'],
): Table {
  const text = shapeOf(tableOf(STANDING_TABLE, own));
  const needs = [...new Set(own.flatMap(({ addresses }) => addresses))];
  const claim = { text, needs, shuns: removedIps };
  return { ...tableOf(STANDING_TABLE, [...own, ...others]), claim };
}

function ownedName(instance: string): string {
  return `${OWN_TABLE_PREFIX}query_${instance}`;
}

function tableOf(name: string, rules: readonly Rule[]): Table {
  const hooks = Object.entries(Object.groupBy(rules, (rule) => rule.hook));
  const chains = hooks.map(([hook, ofHook]) => ({
    name: hook,
    type: 'filter' as const,
    hook: hook as Rule['hook'],
    priority: RAW_PRIORITY,
    rules: ofHook.map(tableRule),
  }));
  return { name, chains };
}

function tableRule(rule: Rule): TableRule {
  return { id: rule.id, match: nftMatch(rule), action: rule.verdict };
}

/** The comment that `nftLine` gives the rule. */
export function nftComment(rule: Rule): string {
  return tableComment(tableRule(rule));
}

/** A rule as a line of an nft chain. */
export function nftLine(rule: Rule): string {
  return tableLine(tableRule(rule));
}

/** Cheapest test first: nearly every packet of the node passes here and leaves at the port. */
function nftMatch(rule: Rule): string {
  const [address, port] = rule.side === 'source' ? ['saddr', 'sport'] : ['daddr', 'dport'];
  const [peerPort, { first, last }] = [
    rule.side === 'source' ? 'dport' : 'sport',
    rule.peerPorts ?? { first: 0, last: 0 },
  ];
  return [
    `${rule.protocol} ${port} ${rule.port}`,
    ...(rule.peerPorts === undefined ? [] : [`${rule.protocol} ${peerPort} ${first}-${last}`]),
    `${rule.family === 4 ? 'ip' : 'ip6'} ${address} { ${rule.addresses.join(', ')} }`,
    ...(rule.fromLoopback ? ['iifname "lo"'] : []),
    ...(rule.synMark === undefined ? [] : [OPENS_CONNECTION, hasBits(rule.synMark)]),
    ...(rule.whileBound ? [SOCKET_MATCH[rule.protocol]] : []),
  ].join(' ');
}

/**
 * Both mean "a local socket would take this". A socket bound to the wildcard address belongs to another server, so UDP asks
 * for a specific one; TCP asks for what TIME_WAIT sockets can answer, too.
 */
const SOCKET_MATCH = { udp: 'socket wildcard 0', tcp: 'socket transparent 0' } as const;
