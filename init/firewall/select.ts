/** Selects the backend that installs the rules: nft unless it cannot (docs/decisions/003-owned-nft-table.md). */
import { NodensError } from '../../agent/base/errors.ts';
import { CommandError } from '../node/exec.ts';
import type { System } from '../node/system.ts';
import type { RuleSet } from '../plan/plan.ts';
import type { Backend } from './backend.ts';
import { Iptables, type IptablesKind } from './iptables/backend.ts';
import { legacyTables } from './iptables/presence.ts';
import { NftAccepts } from './nft/accept.ts';
import { NftTables, type Ownership } from './nft/backend.ts';
import { NftFallback } from './nft/fallback.ts';
import { OWN_TABLE_PREFIX } from './nft/list.ts';
import { allTables, listTable } from './nft/table.ts';
import { NftTcpAffinity } from './nft/tcp-affinity.ts';
import { tryTables } from './nft/write.ts';

/**
 * `--backend`, for query and standing rules: `auto` selects nft where it works. `nft` and `iptables` exclude the
 * other, and init fails where the named one does not work.
 */
export type BackendWish = 'auto' | 'nft' | 'iptables';

/** Thrown when no program on this node can install the rules. */
export class NoBackendError extends NodensError {
  constructor(reason: string) {
    super('NODENS_NO_BACKEND', reason);
  }
}

/** The selected backend together with its helpers, as the rest of init uses it. `apply` is idempotent. */
export interface Firewall extends Pick<Backend, 'name' | 'apply' | 'explain'> {
  /** Why this backend, for the log. */
  readonly reason: string;
  /** Whether the kernel removes the host's query rules when init dies. */
  readonly isOwner: boolean;
  /** Whether the kernel remembers TCP connections. */
  readonly hasTcpAffinity: boolean;
  /** Whether there can be a fallback: only nft rewrites a packet before conntrack. */
  readonly hasFallback: boolean;
  /** Removes query rules at once, as far as this backend can; `apply` has to follow. Never rejects. */
  release(): Promise<void>;
  /** Local IPs that standing rules in the kernel name, of any instance. Rejects with `CommandError`. */
  standingIps(): Promise<readonly string[]>;
  /** Makes the kernel forget the agent's TCP connections. Rejects with `CommandError`. */
  forget(): Promise<void>;
}

/** What backends and their selection report. */
export interface Remarks {
  /** A standing table of another nodens version stays unchanged. */
  foreign(table: string): void;
  /** The kernel rejects an optional feature. */
  without(what: string, error: string): void;
}

const NO_REMARKS: Remarks = { foreign: () => undefined, without: () => undefined };

/** All backends as helpers: in each of them an earlier init may have left rules. */
export async function allBackends(
  system: System,
  { foreign }: Remarks = NO_REMARKS,
): Promise<Backend[]> {
  const nft = [
    new NftTables(system, undefined, foreign, 'helper'),
    new NftTcpAffinity(system, foreign),
    new NftAccepts(system),
    new NftFallback(system, foreign),
  ];
  const backends: Backend[] = (await canUseNft(system)) ? nft : [];
  for (const kind of ['nft', 'legacy'] as const)
    if (await canUseIptables(system, kind))
      backends.push(new Iptables(system, kind, foreign, 'helper'));
  return backends;
}

/**
 * Selects the backend by a trial of `rules` without commit. Finds out whether the kernel lets a process own a table by
 * owning one; without `ownership` no table is owned. Rejects with `NoBackendError`.
 */
export async function selectBackend(
  system: System,
  wish: BackendWish,
  rules: RuleSet,
  ownership: Ownership | undefined,
  remarks: Remarks = NO_REMARKS,
): Promise<Firewall> {
  const [main, reason] = await mainBackend(system, wish, rules, ownership, remarks);
  const helpers: Backend[] = [];
  for (const backend of await allBackends(system, remarks)) {
    if (backend.name === main.name) continue;
    const helper = await asPossible(system, backend, rules, remarks);
    if (helper !== undefined) helpers.push(helper);
  }
  return new CombinedFirewall(main, helpers, reason);
}

/** A helper as far as the kernel accepts its rules, undefined where it accepts none. */
async function asPossible(
  system: System,
  helper: Backend,
  rules: RuleSet,
  remarks: Remarks,
): Promise<Backend | undefined> {
  const { optional } = helper;
  if (optional === undefined) return helper;
  const error = await nftObstacle(system, helper, rules);
  if (error === undefined) return helper;
  remarks.without(optional.what, error);
  const { instead } = optional;
  return instead && asPossible(system, instead, rules, remarks);
}

async function mainBackend(
  system: System,
  wish: BackendWish,
  rules: RuleSet,
  ownership: Ownership | undefined,
  { foreign }: Remarks,
): Promise<[Backend, reason: string]> {
  const nft = new NftTables(system, undefined, foreign);
  const obstacle =
    wish === 'iptables' ? 'iptables was asked for' : await nftObstacle(system, nft, rules);
  if (obstacle === undefined) {
    const works = wish === 'nft' ? 'nft was asked for' : 'nft works here';
    if (ownership === undefined) return [nft, works];
    const unowned = await ownerObstacle(system, ownership);
    if (unowned === undefined) return [new NftTables(system, ownership, foreign), works];
    return [nft, `${works}, but no table can be owned: ${unowned}`];
  }
  if (wish === 'nft') throw new NoBackendError(`nft cannot install the rules: ${obstacle}`);
  const legacy = await legacyInUse(system);
  const where = legacy ? 'legacy iptables is in use' : 'legacy iptables is not in use';
  const order: IptablesKind[] = legacy ? ['legacy', 'nft'] : ['nft', 'legacy'];
  for (const kind of order)
    if (await canUseIptables(system, kind))
      return [new Iptables(system, kind, foreign), `${obstacle}; ${where}`];
  throw new NoBackendError(`neither nft nor iptables can install the rules: ${obstacle}`);
}

/** Why no table can be owned, undefined where one can: kernels before 5.12 and nft before 0.9.9 know no owner. */
async function ownerObstacle(
  system: System,
  { owner, instance }: Ownership,
): Promise<string | undefined> {
  const table = `${OWN_TABLE_PREFIX}try_${instance}`;
  try {
    await owner.execute(`add table inet ${table} { flags owner; }`, { owned: table });
    const owned = /flags owner/.test((await listTable(system, table)) ?? '');
    await owner.execute(`delete table inet ${table}`, {
      table: { name: table, chains: [] },
      isOwned: true,
    });
    return owned ? undefined : 'the kernel ignores the flag';
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    await owner.drop();
    return error.message;
  }
}

/**
 * Why nft cannot hold these rules, undefined where it can. `--check` stops before the kernel commits. A program that was
 * killed for memory says nothing about the kernel: then the first pass tries, and the next ones.
 */
async function nftObstacle(
  system: System,
  nft: Backend,
  rules: RuleSet,
): Promise<string | undefined> {
  try {
    await tryTables(system, nft.tables?.(rules), nft.explain(rules));
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.isKilled ? undefined : error.message;
    throw error;
  }
}

/** An empty legacy table does not count: listing it creates it. nat is the last to be read, because it is the largest. */
async function legacyInUse(system: System): Promise<boolean> {
  for (const [family, program] of [
    [4, 'iptables-legacy-save'],
    [6, 'ip6tables-legacy-save'],
  ] as const) {
    const tables = await legacyTables(system, family);
    const ordered = tables.toSorted((a, b) => Number(a === 'nat') - Number(b === 'nat'));
    for (const table of ordered)
      if (/^-A/m.test(await system.run(program, ['-t', table]))) return true;
  }
  return false;
}

/** Whether there is nft, and an answer from the kernel's nf_tables. */
async function canUseNft(system: System): Promise<boolean> {
  return (
    (await succeeds(system, 'nft', ['--version'])) && (await succeeding(() => allTables(system)))
  );
}

/** `--version` touches no table; iptables-nft also has to get an answer from the kernel's nf_tables. */
function canUseIptables(system: System, kind: IptablesKind): Promise<boolean> {
  if (kind === 'legacy') return succeeds(system, 'iptables-legacy', ['--version']);
  return succeeds(system, 'iptables-nft', ['-t', 'raw', '-S']);
}

function succeeds(system: System, program: string, args: string[]): Promise<boolean> {
  return succeeding(() => system.run(program, args));
}

async function succeeding(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

/** The selected backend, with the helpers beside it. */
class CombinedFirewall implements Firewall {
  readonly name: string;
  readonly reason: string;
  readonly isOwner: boolean;
  readonly hasTcpAffinity: boolean;
  readonly hasFallback: boolean;
  readonly #main: Backend;
  readonly #affinity: NftTcpAffinity | undefined;
  readonly #helpers: readonly Backend[];
  #hasApplied = false;
  /** Counts `release`. */
  #releases = 0;

  constructor(main: Backend, helpers: readonly Backend[], reason: string) {
    this.name = main.name;
    this.reason = reason;
    this.isOwner = main instanceof NftTables && main.isOwner;
    this.#main = main;
    this.#affinity = helpers.find((helper) => helper instanceof NftTcpAffinity);
    this.#helpers = helpers.filter((helper) => helper !== this.#affinity);
    this.hasTcpAffinity = this.#affinity !== undefined;
    this.hasFallback = helpers.some((helper) => helper instanceof NftFallback);
  }

  /** TCP affinity first: query rules match only connections that it remembers. */
  async apply(rules: RuleSet): Promise<boolean> {
    const releases = this.#releases;
    let changed = (await this.#affinity?.apply(rules)) ?? false;
    // After a release these are not the rules that should exist. Another `apply` follows.
    if (releases !== this.#releases) return changed;
    for (const backend of [this.#main, ...this.#helpers])
      changed = (await backend.apply(rules)) || changed;
    this.#hasApplied = true;
    return changed;
  }

  async release(): Promise<void> {
    this.#releases++;
    const main = this.#main;
    if (main instanceof NftTables || main instanceof Iptables) await main.release();
  }

  /** An earlier init may have installed rules by another program. The first `apply` removes them. */
  async standingIps(): Promise<readonly string[]> {
    const ips = new Set<string>();
    for (const backend of [this.#main, ...(this.#hasApplied ? [] : this.#helpers)])
      if (backend instanceof NftTables || backend instanceof Iptables)
        for (const ip of await backend.standingIps()) ips.add(ip);
    return [...ips];
  }

  async forget(): Promise<void> {
    await this.#affinity?.forget();
  }

  explain(rules: RuleSet): string {
    const backends = [...(this.#affinity ? [this.#affinity] : []), this.#main, ...this.#helpers];
    return backends.map((backend) => backend.explain(rules)).join('');
  }
}
