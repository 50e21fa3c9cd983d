/** What installs rules. Every backend applies atomically, reads back, and leaves alone what is already right. */
import { familyOf } from '../../agent/base/address.ts';
import { NodensError } from '../../agent/base/errors.ts';
import { NO_FALLBACK } from '../plan/fallback.ts';
import type { RuleSet } from '../plan/plan.ts';

export interface Backend {
  /** For logs and metrics: `nft`, `iptables-nft`, `iptables-legacy`. */
  readonly name: string;
  /**
   * Makes the kernel hold exactly these of our rules. Resolves to whether anything had to change. Rejects with
   * `CommandError` or `ReadBackError`.
   */
  apply(rules: RuleSet): Promise<boolean>;
  /** Removes every rule nodens ever put, of any instance; resolves to what was removed, one line each. */
  removeAll(): Promise<readonly string[]>;
  /** Local IPs that rules of ours in the kernel speak of, in any order. */
  localIps(): Promise<readonly string[]>;
  /** The text `apply` would hand to its program, for people. */
  explain(rules: RuleSet): string;
  /** Undefined where there is no interception without it. */
  readonly optional?: Optional;
}

/** What nodens can do without where the kernel refuses its rules. */
export interface Optional {
  /** For the log. */
  readonly what: string;
  /** Asks less of the kernel. */
  readonly instead?: Backend;
}

/** The IP addresses among the words of a ruleset's text; not the endpoints that packets are led to. */
export function addressesIn(text: string): string[] {
  const own = text.replaceAll(/(map|saddr \. ip6? daddr) \{[^}]*\}/g, '');
  return own.split(/[\s{},/]+/).filter((word) => familyOf(word) !== undefined);
}

export const NO_RULES: RuleSet = {
  query: [],
  standing: [],
  accept: [],
  tcpAffinities: [],
  fallback: NO_FALLBACK,
};

/** Thrown when the kernel took a ruleset without complaint but does not hold it. */
export class ReadBackError extends NodensError {
  constructor(what: string) {
    super('NODENS_READBACK', `${what} is not what init just installed: another program changes it`);
  }
}
