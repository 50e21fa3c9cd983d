/**
 * A backend prints rules for one program and installs them: atomically, reading back what the kernel holds, without a
 * write where that is right already. Which rules exist is not its business, see `desiredRules`.
 */
import { familyOf } from '../../agent/base/address.ts';
import { NodensError } from '../../agent/base/errors.ts';
import type { RuleSet } from '../plan/plan.ts';
import type { Table } from './nft/table.ts';

/**
 * `main` installs query and standing rules. A `helper` only ACCEPTs where chains of its own drop, and it removes what it
 * installed for an earlier init that had chosen it.
 */
export type Role = 'main' | 'helper';

/** One program's rules on this node. All instances of nodens on the node share the standing ones. */
export interface Backend {
  /** For logs and metrics: `nft`, `iptables-nft`, `iptables-legacy`. */
  readonly name: string;
  /**
   * Makes the kernel hold what this backend installs of `rules`, and no other rules of ours there. Resolves to whether
   * anything had to change. Rejects with `CommandError` or `ReadBackError`.
   */
  apply(rules: RuleSet): Promise<boolean>;
  /** Removes every rule of nodens, of any instance; resolves to what was removed, one line each. */
  removeAll(): Promise<readonly string[]>;
  /** Local IPs that rules of ours in the kernel name, in any order. */
  localIps(): Promise<readonly string[]>;
  /** The text that `apply` would give to its program, for people. */
  explain(rules: RuleSet): string;
  /** The same as tables of nft, where it makes any. */
  tables?(rules: RuleSet): readonly Table[];
  /** Undefined where there is no interception without it. */
  readonly optional?: Optional;
}

/** A feature that nodens continues without where the kernel rejects its rules. */
export interface Optional {
  /** For the log. */
  readonly what: string;
  /** Needs less of the kernel. */
  readonly instead?: Backend;
}

/** The IP addresses among the words of a ruleset's text, without the endpoints of kube-dns. */
export function addressesIn(text: string): string[] {
  const own = text.replaceAll(/(map|saddr \. ip6? daddr) \{[^}]*\}/g, '');
  return own.split(/[\s{},/]+/).filter((word) => familyOf(word) !== undefined);
}

/** Thrown when the kernel accepted a ruleset but does not hold it. */
export class ReadBackError extends NodensError {
  constructor(what: string) {
    super('NODENS_READBACK', `${what} is not what init just installed: another program changes it`);
  }
}
