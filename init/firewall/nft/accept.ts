/**
 * ACCEPT rules inside other programs' nft chains whose policy drops: an accept in a table of our own would not overrule
 * that. All instances on the node have rules there. This one removes those of others only when it wants other rules itself.
 */

import type { System } from '../../node/system.ts';
import type { Rule, RuleSet } from '../../plan/plan.ts';
import { type Backend, ReadBackError } from '../backend.ts';
import { nftComment, nftLine } from './backend.ts';
import {
  filterChains,
  isIptablesChain,
  isOwnTable,
  type NftChain,
  type NftRule,
  ownRulesIn,
} from './list.ts';

interface Edit {
  readonly chain: NftChain;
  readonly ours: readonly NftRule[];
  readonly wanted: readonly Rule[];
}

/**
 * ACCEPT rules in filter chains of other programs. An accept in a table of our own would not overrule another chain's
 * drop (nft(8)).
 */
export class NftAccepts implements Backend {
  readonly name = 'nft-accept';
  readonly #system: System;
  /** What this instance wanted when that was last in place. */
  #settled: string | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /** Installs rules for kept local IPs only when it replaces all; later the instances that want them check them. */
  async apply({ accept, kept }: RuleSet): Promise<boolean> {
    const text = [...accept.map(nftComment), ...kept.removedIps].join();
    const isNews = text !== this.#settled;
    const edits = await this.#edits(isNews ? [...accept, ...kept.accept] : accept, isNews);
    if (edits.length > 0) {
      await this.#system.run('nft', ['-f', '-'], edits.map(scriptOf).join(''));
      // Another instance may have installed its own rules beside ours by now.
      const [wrong] = await this.#edits(accept, false);
      if (wrong !== undefined) throw new ReadBackError(`chain ${chainName(wrong.chain)}`);
    }
    this.#settled = text;
    return edits.length > 0;
  }

  async removeAll(): Promise<readonly string[]> {
    const edits = await this.#edits([], true);
    if (edits.length > 0) await this.#system.run('nft', ['-f', '-'], edits.map(scriptOf).join(''));
    return edits.map(({ chain, ours }) => `${ours.length} rules in chain ${chainName(chain)}`);
  }

  /** The tables of our own name them. */
  async localIps(): Promise<readonly string[]> {
    return [];
  }

  explain({ accept }: RuleSet): string {
    return `# in each input or output chain whose policy drops:\n${accept.map((r) => `${nftLine(r)}\n`).join('')}`;
  }

  async #edits(accept: readonly Rule[], isNews: boolean): Promise<Edit[]> {
    const chains = await filterChains(this.#system);
    const edits: Edit[] = [];
    for (const chain of chains.filter(filtersLocalTraffic)) {
      const ours = await ownRulesIn(this.#system, chain);
      const wanted = chain.policy === 'drop' ? accept.filter((rule) => fits(rule, chain)) : [];
      const others = isNews ? [] : ours.filter(({ comment }) => !hasComment(accept, comment));
      const mine = ours.filter((rule) => !others.includes(rule));
      if (!sameComments(mine, wanted)) edits.push({ chain, ours: mine, wanted });
    }
    return edits;
  }
}

function filtersLocalTraffic(chain: NftChain): boolean {
  const local = chain.hook === 'input' || chain.hook === 'output';
  const ip = ['ip', 'ip6', 'inet'].includes(chain.family);
  const foreign = !isOwnTable(chain.family, chain.table) && !isIptablesChain(chain);
  return local && ip && chain.type === 'filter' && foreign;
}

function fits(rule: Rule, chain: NftChain): boolean {
  const family = rule.family === 4 ? 'ip' : 'ip6';
  return rule.hook === chain.hook && (chain.family === 'inet' || chain.family === family);
}

function hasComment(rules: readonly Rule[], comment: string | undefined): boolean {
  return rules.some((rule) => nftComment(rule) === comment);
}

function sameComments(ours: readonly NftRule[], wanted: readonly Rule[]): boolean {
  const present = ours.map((rule) => rule.comment).sort();
  return present.join() === wanted.map(nftComment).sort().join();
}

function scriptOf({ chain, ours, wanted }: Edit): string {
  const name = chainName(chain);
  const deletions = ours.map((rule) => `delete rule ${name} handle ${rule.handle}\n`);
  const insertions = wanted.map((rule) => `insert rule ${name} ${nftLine(rule)}\n`);
  return [...deletions, ...insertions].join('');
}

function chainName({ family, table, name }: NftChain): string {
  return `${family} ${table} ${name}`;
}
