/** Standing rules for local IPs of others, as data. */
import { familyOf } from '../../../agent/base/address.ts';
import { type Left, type PlanOptions, planOf, type Rule, type RuleSet } from '../plan.ts';
import type { Flows } from '../tcp-affinity.ts';

/** Tells rules for local IPs of others from those for our own. */
export const LEFT = 'left-';

/** `rules` with standing ones for `kept` beside them; `gone` are not to be spoken of any more. */
export function keeping(
  rules: RuleSet,
  options: PlanOptions,
  kept: readonly string[],
  gone: readonly string[],
): RuleSet {
  const localIps = kept.toSorted();
  const { standing, accept, flows } = planOf({ ...options, localIps, clusterIps: [] }).rules;
  const left: Left = {
    standing: standing.map(asLeft),
    accept: accept.map(asLeft),
    flows: joined(rules.flows, flows),
    gone,
  };
  return { ...rules, left };
}

function asLeft(rule: Rule): Rule {
  return { ...rule, id: `${LEFT}${rule.id}` };
}

/** There is one memory of connections for each family. */
function joined(own: readonly Flows[], others: readonly Flows[]): Flows[] {
  return ([4, 6] as const).flatMap((family) => {
    const [first, ...rest] = [...own, ...others].filter((flows) => flows.family === family);
    if (first === undefined) return [];
    const addresses = [first, ...rest].flatMap((flows) => flows.addresses);
    return [{ ...first, addresses: addresses.filter((ip) => familyOf(ip) === family) }];
  });
}
