/** Memory of the agent's TCP connections as a standing nft table, whichever backend installs the rest. */

import type { Run } from '../../node/exec.ts';
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

const TABLE = `${OWN_TABLE_PREFIX}flows_main`;

/** Before the query rules (-300), which only take what is remembered. */
const REMEMBER_PRIORITY = -301;
/** After them, before the fallback (-250) and conntrack (-200). */
const FORGET_PRIORITY = -290;

/** Connections of a family that fit; each takes about 150 octets of the kernel's memory. */
const MAX_FLOWS = 65_536;
/** For the handshake: the kernel sends its SYN-ACK again for a minute. */
const OPENING_TIMEOUT = '70s';
/** Without a packet. The agent asks a silent client for a sign of life every minute. */
const OPEN_TIMEOUT = '5m';
/** After a FIN or RST of ours, for what the client still has to say. */
const CLOSING_TIMEOUT = '10s';

/** The packet that opens a connection. */
export const OPENS_CONNECTION = 'tcp flags & (fin | syn | rst | ack) == syn';

export class NftTcpAffinity implements Backend {
  readonly name = 'nft-flows';
  readonly optional = { what: 'a memory of TCP connections' };
  readonly #run: Run;
  readonly #sync: TableSync;
  #affinities: readonly TcpAffinity[] = [];

  /** `onForeign`: see `TableSync`. */
  constructor(run: Run, onForeign: (table: string) => void) {
    this.#run = run;
    this.#sync = new TableSync(run, onForeign);
  }

  apply({ tcpAffinities, kept }: RuleSet): Promise<boolean> {
    this.#affinities = kept?.tcpAffinities ?? tcpAffinities;
    const needs = tcpAffinities.flatMap(({ addresses }) => addresses);
    const claim = { text: shapeOf(tableOf(tcpAffinities)), needs, shuns: kept?.gone ?? [] };
    return this.#sync.apply([{ ...tableOf(this.#affinities), claim }]);
  }

  /**
   * Lets go of all connections: with its next packet each is led to kube-dns, which resets it. Rejects with
   * `CommandError`.
   */
  async forget(): Promise<void> {
    const sets = this.#affinities.flatMap((affinity) => tableOf([affinity]).sets ?? []);
    const lines = sets.map(({ name }) => `flush set inet ${TABLE} ${name}\n`);
    if (lines.length > 0) await this.#run('nft', ['-f', '-'], lines.join(''));
  }

  /** The tables of our own go together, whoever made them. */
  async removeAll(): Promise<readonly string[]> {
    return [];
  }

  async localIps(): Promise<readonly string[]> {
    return addressesIn((await listTable(this.#run, TABLE)) ?? '');
  }

  explain({ tcpAffinities }: RuleSet): string {
    return tableText(tableOf(tcpAffinities));
  }
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
 * Every opening packet is remembered, and marked for the query rules: what finds no room is kube-proxy's. The rest of a
 * connection that is remembered stays untracked, whether anybody intercepts now or not.
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

/** What opens a connection and was not intercepted is kube-proxy's, even where it was the agent's before. */
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

/** A connection that we end needs no room any more, only time for its last packets, which must not prolong it. */
function closeRule(affinity: TcpAffinity): TableRule {
  const { family, addresses, port } = affinity;
  const key = keyOf(affinity, 'server');
  const from = `tcp sport ${port} ${ipOf(family)} saddr { ${addresses.join(', ')} }`;
  return {
    id: `flow-close-output-${family}`,
    match:
      `${from} tcp flags & (fin | rst) != 0 ${key} @flows${family} ` +
      `update @closing${family} { ${key} timeout ${CLOSING_TIMEOUT} }`,
    action: `delete @flows${family} { ${key} }`,
  };
}

function destinedTo({ family, addresses, port }: TcpAffinity): string {
  return `tcp dport ${port} ${ipOf(family)} daddr { ${addresses.join(', ')} }`;
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
