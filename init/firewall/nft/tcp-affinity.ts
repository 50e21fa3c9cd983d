/** TCP affinity as a standing nft table, whichever backend installs the other rules. */

import type { System } from '../../node/system.ts';
import type { RuleSet } from '../../plan/plan.ts';
import type { TcpAffinity } from '../../plan/tcp-affinity.ts';
import { addressesIn, type Backend } from '../backend.ts';
import { OWN_TABLE_PREFIX } from './list.ts';
import {
  hasBits,
  hex,
  listTable,
  shapeOf,
  type Table,
  type TableChain,
  type TableRule,
  type TableSet,
  tableText,
} from './table.ts';
import { TableSync } from './table-sync.ts';
import { writeTables } from './write.ts';

const TABLE = `${OWN_TABLE_PREFIX}flows_main`;

/** Before the query rules (-300), which match only remembered connections. */
const REMEMBER_PRIORITY = -301;
/** After them, before the fallback (-250) and conntrack (-200). */
const FORGET_PRIORITY = -290;

/** Connections of a family that fit; each takes about 150 bytes of kernel memory. */
const MAX_FLOWS = 65_536;
/** For the handshake: the kernel repeats its SYN-ACK for a minute. */
const OPENING_TIMEOUT = '70s';
/** Without a packet. The agent sends a keepalive to silent clients every minute. */
const OPEN_TIMEOUT = '5m';
/** After a FIN or RST of the agent, for the client's last packets. */
const CLOSING_TIMEOUT = '10s';

/** The packet that opens a connection. */
export const OPENS_CONNECTION = 'tcp flags & (fin | syn | rst | ack) == syn';

/** Installs the sets of connections and the rules that fill them. Once installed, they work without init. */
export class NftTcpAffinity implements Backend {
  readonly name = 'nft-flows';
  readonly optional = { what: 'a memory of TCP connections' };
  readonly #system: System;
  readonly #sync: TableSync;
  #affinities: readonly TcpAffinity[] = [];

  /** `onForeign`: see `TableSync`. */
  constructor(system: System, onForeign: (table: string) => void) {
    this.#system = system;
    this.#sync = new TableSync(system, onForeign);
  }

  apply({ tcpAffinities, kept }: RuleSet): Promise<boolean> {
    this.#affinities = tcpAffinities;
    const needs = tcpAffinities.flatMap(({ addresses }) => addresses);
    const own = tableOf(tcpAffinities.flatMap(ownOnly));
    const claim = { text: shapeOf(own), needs, shuns: kept.removedIps };
    return this.#sync.apply([{ ...tableOf(tcpAffinities), claim }]);
  }

  /**
   * Empties the sets: the next packet of each connection goes to kube-dns, which resets it. Rejects with
   * `CommandError`.
   */
  async forget(): Promise<void> {
    const sets = this.#affinities.flatMap((affinity) => tableOf([affinity]).sets ?? []);
    const changes = sets.map(({ name }) => ({ table: TABLE, emptied: name }));
    if (changes.length > 0) await writeTables(this.#system, changes);
  }

  /** `NftTables` removes all tables of our own. */
  async removeAll(): Promise<readonly string[]> {
    return [];
  }

  async localIps(): Promise<readonly string[]> {
    return addressesIn((await listTable(this.#system, TABLE)) ?? '');
  }

  explain(rules: RuleSet): string {
    return this.tables(rules).map(tableText).join('');
  }

  tables({ tcpAffinities }: RuleSet): readonly Table[] {
    return [tableOf(tcpAffinities)];
  }
}

/** Without kept local IPs: what this instance itself wants. */
function ownOnly(affinity: TcpAffinity): TcpAffinity[] {
  return affinity.addresses.length === 0 ? [] : [{ ...affinity, keptAddresses: [] }];
}

function tableOf(affinities: readonly TcpAffinity[]): Table {
  const chain = (
    name: string,
    priority: number,
    hook: TableChain['hook'],
    rulesOf: (affinity: TcpAffinity, hook: string) => TableRule[],
  ): TableChain => ({
    name: `${name}_${hook}`,
    type: 'filter',
    hook,
    priority,
    rules: affinities.flatMap((affinity) => rulesOf(affinity, hook)),
  });
  const chains = [
    chain('remember', REMEMBER_PRIORITY, 'prerouting', rememberRules),
    chain('remember', REMEMBER_PRIORITY, 'output', rememberRules),
    chain('forget', FORGET_PRIORITY, 'prerouting', forgetRules),
    chain('forget', FORGET_PRIORITY, 'output', forgetRules),
    chain('close', REMEMBER_PRIORITY, 'output', (affinity) => [closeRule(affinity)]),
  ];
  return {
    name: TABLE,
    sets: affinities.flatMap((affinity) => [setOf(affinity, 'flows'), setOf(affinity, 'closing')]),
    chains: chains.filter(({ rules }) => rules.length > 0),
  };
}

/** By client address and port, and local IP. */
function setOf({ family }: TcpAffinity, name: 'flows' | 'closing'): TableSet {
  const address = `ipv${family}_addr`;
  const text =
    `type ${address} . inet_service . ${address}; size ${MAX_FLOWS}; ` +
    `flags dynamic,timeout; timeout ${OPEN_TIMEOUT};`;
  return { name: `${name}${family}`, text };
}

/**
 * The set remembers each SYN, and marks it for the query rules. A connection that finds no room goes to kube-proxy. Later
 * packets of a remembered connection stay untracked, whether init intercepts now or not.
 */
function rememberRules(affinity: TcpAffinity, hook: string): TableRule[] {
  const { family, mark } = affinity;
  const [to, key] = [destinedTo(affinity), keyOf(affinity, 'client')];
  return [
    {
      id: `flow-open-${hook}-${family}`,
      match: `${to} ${OPENS_CONNECTION} update @flows${family} { ${key} timeout ${OPENING_TIMEOUT} }`,
      action: `meta mark set meta mark | ${hex(mark)}`,
    },
    {
      id: `flow-keep-${hook}-${family}`,
      match:
        `${to} tcp flags & syn == 0 ${key} @flows${family} ` +
        `update @flows${family} { ${key} timeout ${OPEN_TIMEOUT} }`,
      action: 'notrack',
    },
    {
      id: `flow-end-${hook}-${family}`,
      match: `${to} tcp flags & syn == 0 ${key} @closing${family}`,
      action: 'notrack',
    },
  ];
}

/** A SYN that no query rule took belongs to kube-proxy, even where an earlier connection from that port did not. */
function forgetRules(affinity: TcpAffinity, hook: string): TableRule[] {
  const { family, mark } = affinity;
  const [to, key] = [destinedTo(affinity), keyOf(affinity, 'client')];
  return [
    {
      id: `flow-forget-${hook}-${family}`,
      match: `${to} ${OPENS_CONNECTION} ct state != untracked`,
      action: `delete @flows${family} { ${key} } delete @closing${family} { ${key} }`,
    },
    {
      id: `flow-unmark-${hook}-${family}`,
      match: `${to} ${OPENS_CONNECTION} ${hasBits(mark)}`,
      action: `meta mark set meta mark & ${hex(0xffff_ffff ^ mark)}`,
    },
  ];
}

/** A connection that the agent ends leaves the set. Its last packets match another set, and do not prolong that time. */
function closeRule(affinity: TcpAffinity): TableRule {
  const { family, port } = affinity;
  const key = keyOf(affinity, 'server');
  const from = `tcp sport ${port} ${ipOf(family)} saddr { ${addressList(affinity)} }`;
  return {
    id: `flow-close-output-${family}`,
    match:
      `${from} tcp flags & (fin | rst) != 0 ${key} @flows${family} ` +
      `update @closing${family} { ${key} timeout ${CLOSING_TIMEOUT} }`,
    action: `delete @flows${family} { ${key} }`,
  };
}

function destinedTo(affinity: TcpAffinity): string {
  return `tcp dport ${affinity.port} ${ipOf(affinity.family)} daddr { ${addressList(affinity)} }`;
}

function addressList({ addresses, keptAddresses }: TcpAffinity): string {
  return [...addresses, ...keptAddresses].join(', ');
}

function keyOf({ family }: TcpAffinity, from: 'client' | 'server'): string {
  const ip = ipOf(family);
  return from === 'client'
    ? `${ip} saddr . tcp sport . ${ip} daddr`
    : `${ip} daddr . tcp dport . ${ip} saddr`;
}

function ipOf(family: TcpAffinity['family']): string {
  return family === 4 ? 'ip' : 'ip6';
}
