/** Standing rules for local IPs of others, as data. */
import { familyOf } from '../../../agent/base/address.ts';
import { type Kept, type PlanOptions, planOf, type Rule, type RuleSet } from '../plan.ts';
import type { TcpAffinity } from '../tcp-affinity.ts';

/** Tells rules for local IPs of others from those for our own. */
export const KEPT_PREFIX = 'left-';

/** `rules` with standing ones for `kept` beside them; `gone` are not to be spoken of any more. */
export function keeping(
  rules: RuleSet,
  options: PlanOptions,
  kept: readonly string[],
  gone: readonly string[],
): RuleSet {
  const localIps = kept.toSorted();
  const { standing, accept, tcpAffinities } = planOf({
    ...options,
    localIps,
    clusterIps: [],
  }).rules;
  const others: Kept = {
    standing: standing.map(asKept),
    accept: accept.map(asKept),
    tcpAffinities: joined(rules.tcpAffinities, tcpAffinities),
    gone,
  };
  return { ...rules, kept: others };
}

function asKept(rule: Rule): Rule {
  return { ...rule, id: `${KEPT_PREFIX}${rule.id}` };
}

/** There is one memory of connections for each family. */
function joined(own: readonly TcpAffinity[], others: readonly TcpAffinity[]): TcpAffinity[] {
  return ([4, 6] as const).flatMap((family) => {
    const [first, ...rest] = [...own, ...others].filter((affinity) => affinity.family === family);
    if (first === undefined) return [];
    const addresses = [first, ...rest].flatMap((affinity) => affinity.addresses);
    return [{ ...first, addresses: addresses.filter((ip) => familyOf(ip) === family) }];
  });
}
