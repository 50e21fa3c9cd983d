/** Which backend installs the rules: nft unless it cannot (design §7). */
import { NodensError } from '../agent/base/errors.ts';
import { type Backend, NO_RULES } from './backend.ts';
import { CommandError } from './exec.ts';
import { Iptables, type IptablesKind, legacyTables } from './iptables.ts';
import { NftTables } from './nft.ts';
import { NftAccepts } from './nft-accept.ts';
import type { RuleSet } from './plan.ts';
import type { System } from './system.ts';

export type BackendWish = 'auto' | 'nft' | 'iptables';

/** Thrown when no program on this node can install the rules. */
export class NoBackendError extends NodensError {
  constructor(reason: string) {
    super('NODENS_NO_BACKEND', reason);
  }
}

export interface Firewall extends Pick<Backend, 'name' | 'apply' | 'explain'> {
  /** Why this backend, for the log. */
  readonly reason: string;
}

/** Where everything that nodens may ever have put is looked for. */
export async function allBackends(system: System, instance: string): Promise<Backend[]> {
  const nft = [new NftTables(system.run, instance), new NftAccepts(system.run)];
  const backends: Backend[] = (await canUseNft(system)) ? nft : [];
  for (const kind of ['nft', 'legacy'] as const)
    if (await canUseIptables(system, kind)) backends.push(new Iptables(system, kind));
  return backends;
}

/** Picks the backend by trying `rules` without committing them. Rejects with `NoBackendError`. */
export async function chooseFirewall(
  system: System,
  wish: BackendWish,
  rules: RuleSet,
  instance: string,
): Promise<Firewall> {
  const nft = new NftTables(system.run, instance);
  const [main, reason] = await mainBackend(system, wish, rules, nft);
  const others = (await allBackends(system, instance)).filter((b) => b.name !== main.name);
  return new Composite(main, others, reason);
}

async function mainBackend(
  system: System,
  wish: BackendWish,
  rules: RuleSet,
  nft: NftTables,
): Promise<[Backend, reason: string]> {
  const obstacle =
    wish === 'iptables' ? 'iptables was asked for' : await nftObstacle(system, nft, rules);
  if (obstacle === undefined) return [nft, wish === 'nft' ? 'nft was asked for' : 'nft works here'];
  if (wish === 'nft') throw new NoBackendError(`nft cannot install the rules: ${obstacle}`);
  const legacy = await legacyInUse(system);
  const where = legacy ? 'legacy iptables is in use' : 'legacy iptables is not in use';
  const order: IptablesKind[] = legacy ? ['legacy', 'nft'] : ['nft', 'legacy'];
  for (const kind of order)
    if (await canUseIptables(system, kind))
      return [new Iptables(system, kind), `${obstacle}; ${where}`];
  throw new NoBackendError(`neither nft nor iptables can install the rules: ${obstacle}`);
}

/** Why nft cannot hold these rules, undefined where it can. `--check` stops before the kernel commits. */
async function nftObstacle(
  system: System,
  nft: NftTables,
  rules: RuleSet,
): Promise<string | undefined> {
  try {
    await system.run('nft', ['--check', '-f', '-'], nft.explain(rules));
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

/** A table without rules is what somebody left who only looked. Without `-t`, save reads no table that is not there. */
async function legacyInUse(system: System): Promise<boolean> {
  for (const [family, program] of [
    [4, 'iptables-legacy-save'],
    [6, 'ip6tables-legacy-save'],
  ] as const) {
    if ((await legacyTables(system, family)).length === 0) continue;
    if (/^-A/m.test(await system.run(program, []))) return true;
  }
  return false;
}

/** Whether nft gets an answer from the kernel's nf_tables. */
function canUseNft(system: System): Promise<boolean> {
  return succeeds(system, 'nft', ['-j', 'list', 'tables']);
}

/** `--version` touches no table; iptables-nft also has to get an answer from the kernel's nf_tables. */
function canUseIptables(system: System, kind: IptablesKind): Promise<boolean> {
  if (kind === 'legacy') return succeeds(system, 'iptables-legacy', ['--version']);
  return succeeds(system, 'iptables-nft-save', ['-t', 'raw']);
}

async function succeeds(system: System, program: string, args: string[]): Promise<boolean> {
  try {
    await system.run(program, args);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

/**
 * The chosen backend; the others only put ACCEPTs where tables of theirs drop, and take away what an earlier start with
 * another backend left.
 */
class Composite implements Firewall {
  readonly name: string;
  readonly reason: string;
  readonly #main: Backend;
  readonly #helpers: readonly Backend[];

  constructor(main: Backend, helpers: readonly Backend[], reason: string) {
    this.name = main.name;
    this.reason = reason;
    this.#main = main;
    this.#helpers = helpers;
  }

  async apply(rules: RuleSet): Promise<boolean> {
    let changed = await this.#main.apply(rules);
    for (const helper of this.#helpers)
      changed = (await helper.apply({ ...NO_RULES, accept: rules.accept })) || changed;
    return changed;
  }

  explain(rules: RuleSet): string {
    const parts = this.#helpers.map((helper) =>
      helper.explain({ ...NO_RULES, accept: rules.accept }),
    );
    return [this.#main.explain(rules), ...parts].join('');
  }
}
