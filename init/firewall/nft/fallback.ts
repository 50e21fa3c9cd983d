/** The fallback as a standing nft table, whichever backend installs the other rules. */
import { type Endpoints, NO_ENDPOINTS } from '../../endpoints/set.ts';
import type { System } from '../../node/system.ts';
import type { Fallback, Masquerade, Rewrite } from '../../plan/fallback.ts';
import type { RuleSet } from '../../plan/plan.ts';
import { addressesIn, type Backend, type Optional } from '../backend.ts';
import { endpointDnatChains, endpointsIn, hairpinRule } from './endpoint-dnat.ts';
import { OWN_TABLE_PREFIX } from './list.ts';
import {
  hex,
  listTable,
  printTable,
  type Table,
  type TableChain,
  type TableRule,
  tableText,
} from './table.ts';
import { TableSync } from './table-sync.ts';

const TABLE = `${OWN_TABLE_PREFIX}fallback_main`;

/**
 * Conntrack zone of rewritten packets. A client may have two connections from one port, to the local IP and to the
 * ClusterIP. After the rewrite conntrack could not distinguish them, and one would get packets of the other.
 */
const ZONE = 20_253;

/** Before conntrack (-200), after the rules that untrack (-300). */
const REWRITE_PRIORITY = -250;
/** After conntrack, before kube-proxy's DNAT (-100). */
const REMEMBER_PRIORITY = -150;
/** Before kube-proxy's own masquerading (100): the first match decides. */
const MASQUERADE_PRIORITY = 99;
/** After conntrack has undone the DNAT (100). */
const RESTORE_PRIORITY = 150;

/** Installs the fallback and the masquerading, whether init intercepts or not. */
export class NftFallback implements Backend {
  readonly name = 'nft-fallback';
  readonly optional: Optional;
  readonly #system: System;
  readonly #sync: TableSync;
  readonly #zone: number | undefined;

  /**
   * `onForeign`: see `TableSync`; two instances that find other endpoints one after the other do not overwrite each other.
   * Kernels without CONFIG_NF_CONNTRACK_ZONES accept only rules without a zone.
   */
  constructor(
    system: System,
    onForeign: (table: string) => void = () => undefined,
    { hasZone } = { hasZone: true },
  ) {
    this.#system = system;
    this.#sync = new TableSync(system, onForeign);
    this.#zone = hasZone ? ZONE : undefined;
    const zoneless = (): NftFallback => new NftFallback(system, onForeign, { hasZone: false });
    this.optional = hasZone
      ? { what: 'a conntrack zone for the fallback', instead: zoneless() }
      : { what: 'the fallback' };
  }

  apply({ fallback }: RuleSet): Promise<boolean> {
    return this.#sync.apply([tableOf(fallback, this.#zone)]);
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

  tables({ fallback }: RuleSet): readonly Table[] {
    return [tableOf(fallback, this.#zone)];
  }
}

/** The endpoints in the kernel's rules. Only nft shows them, and it is not asked where there are no such rules. */
export async function fallbackEndpoints(system: System): Promise<Endpoints> {
  const held = (await listTable(system, TABLE)) ?? '';
  return /chain endpoint_/.test(held)
    ? endpointsIn((await printTable(system.run, TABLE)) ?? '')
    : NO_ENDPOINTS;
}

/** Packets that took the fallback since its table was made; 0 where there is none. */
export async function fallbackPackets(system: System): Promise<number> {
  const lines = ((await listTable(system, TABLE)) ?? '').split('\n');
  return lines
    .filter((line) => line.includes('comment "nodens:fallback-'))
    .reduce((sum, line) => sum + Number(/counter packets (\d+)/.exec(line)?.[1] ?? 0), 0);
}

function tableOf(
  { rewrites, endpointDnats, masquerades }: Fallback,
  zone: number | undefined,
): Table {
  const chain = (
    name: string,
    type: TableChain['type'],
    priority: number,
    rules: (hook: TableChain['hook']) => TableRule[],
    ...hooks: TableChain['hook'][]
  ): TableChain[] =>
    hooks.map((hook) => ({ name: `${name}_${hook}`, type, hook, priority, rules: rules(hook) }));
  const rewriting = (hook: string): TableRule[] =>
    rewrites.flatMap((r) => rewriteRules(r, hook, zone));
  const masquerading = [...masquerades.map(masqueradeRule), ...endpointDnats.flatMap(hairpinRule)];
  const chains = [
    ...endpointDnatChains(endpointDnats),
    ...chain('rewrite', 'filter', REWRITE_PRIORITY, rewriting, 'prerouting'),
    // A packet of the host has its route already. Only this type of chain makes the kernel route it again.
    ...chain('rewrite', 'route', REWRITE_PRIORITY, rewriting, 'output'),
    ...chain(
      'remember',
      'filter',
      REMEMBER_PRIORITY,
      (hook) => rewrites.flatMap((r) => rememberRules(r, hook)),
      'prerouting',
      'output',
    ),
    ...chain('masquerade', 'nat', MASQUERADE_PRIORITY, () => masquerading, 'postrouting'),
    ...chain(
      'restore',
      'filter',
      RESTORE_PRIORITY,
      (hook) => rewrites.map((r) => restoreRule(r, hook)),
      'postrouting',
      'input',
    ),
  ];
  return { name: TABLE, chains: chains.filter(({ rules }) => rules.length > 0) };
}

const PROTOCOLS = ['udp', 'tcp'] as const;

function rewriteRules(
  { family, from, to, port, mark }: Rewrite,
  hook: string,
  zone: number | undefined,
): TableRule[] {
  const inZone = zone === undefined ? '' : `ct original zone set ${zone} `;
  const ip = family === 4 ? 'ip' : 'ip6';
  return PROTOCOLS.map((protocol) => ({
    id: `fallback-${hook}-${protocol}${family}`,
    match: `${protocol} dport ${port} ${ip} daddr ${from} ct state != untracked`,
    action: `meta mark set meta mark | ${hex(mark)} ${inZone}${ip} daddr set ${to}`,
  }));
}

function rememberRules({ family, to, port, mark }: Rewrite, hook: string): TableRule[] {
  const ip = family === 4 ? 'ip' : 'ip6';
  const others = 0xffff_ffff ^ mark;
  return PROTOCOLS.map((protocol) => ({
    id: `remember-${hook}-${protocol}${family}`,
    match: `${protocol} dport ${port} ${ip} daddr ${to} meta mark & ${hex(mark)} == ${hex(mark)}`,
    action: `ct mark set ct mark | ${hex(mark)} meta mark set meta mark & ${hex(others)}`,
  }));
}

function restoreRule({ family, from, to, mark }: Rewrite, hook: string): TableRule {
  const ip = family === 4 ? 'ip' : 'ip6';
  return {
    id: `restore-${hook}-${family}`,
    match: `${ip} saddr ${to} ct direction reply ct mark & ${hex(mark)} == ${hex(mark)}`,
    action: `${ip} saddr set ${from}`,
  };
}

function masqueradeRule({ family, localIps, destinations }: Masquerade): TableRule {
  const ip = family === 4 ? 'ip' : 'ip6';
  const original = `ct original ${ip} daddr { ${destinations.join(', ')} }`;
  return {
    id: `masquerade-${family}`,
    match: `oifname != "lo" ${ip} saddr { ${localIps.join(', ')} } ${original}`,
    action: 'masquerade',
  };
}
