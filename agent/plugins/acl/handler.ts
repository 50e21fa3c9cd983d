import { addressBytes, type Cidr, cidrContains } from '../../base/address.ts';
import { DropQuery, type ExtendedError } from '../../base/errors.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import { isSubdomain } from '../../dns/name.ts';
import { madeAnswer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import type { Counter } from '../../query/services/metrics.ts';

/** What happens to a query: `block` is REFUSED, `filter` an empty answer, `drop` no answer at all. */
export type Action = 'allow' | 'block' | 'filter' | 'drop';

/** One line of a rule. It matches if its types and its networks do. */
export interface Policy {
  readonly action: Action;
  /** Undefined: every type. */
  readonly types: ReadonlySet<number> | undefined;
  /** Undefined: every client. */
  readonly nets: readonly Cidr[] | undefined;
}

/** One use of the directive. */
export interface Rule {
  readonly zones: readonly Zone[];
  readonly policies: readonly Policy[];
}

interface Zone {
  /** Presentation format, for the label `zone`. */
  readonly text: string;
  /** Lower-case wire form. */
  readonly name: Uint8Array;
}

/** Counters of one server. `zone` is the zone of the rule that decided. */
export interface AclCounters {
  readonly allowed: Counter;
  readonly of: (action: Exclude<Action, 'allow'>, zone: string) => Counter;
}

const BLOCKED: ExtendedError = { code: EDE.BLOCKED, text: '' };
const FILTERED: ExtendedError = { code: EDE.FILTERED, text: '' };

/** For each rule whose zone contains the name, the first matching policy decides; `allow` ends the search. */
export function aclHandler(
  rules: readonly Rule[],
  counters: (server: ServerLabel) => AclCounters,
): (query: Query, next: Handler) => Result {
  return (query, next) => {
    // Most internal queries have no client to check.
    if (!query.hasClient) return next(query);
    const count = counters(query.server);
    const verdict = judge(rules, query);
    if (verdict === undefined) {
      count.allowed.value++;
      return next(query);
    }
    const { action, zone } = verdict;
    count.of(action, zone).value++;
    if (action === 'drop') throw new DropQuery('dropped by acl');
    if (action === 'block') return denied(query, RCODE.REFUSED, BLOCKED);
    return denied(query, RCODE.NOERROR, FILTERED);
  };
}

interface Verdict {
  readonly action: Exclude<Action, 'allow'>;
  readonly zone: string;
}

function judge(rules: readonly Rule[], query: Query): Verdict | undefined {
  const { name, type } = query;
  const client = addressBytes(query.client.address);
  for (const { zones, policies } of rules) {
    const zone = longest(zones, name);
    if (zone === undefined) continue;
    const policy = policies.find((candidate) => fits(candidate, type, client));
    if (policy === undefined) continue;
    const { action } = policy;
    return action === 'allow' ? undefined : { action, zone: zone.text };
  }
  return undefined;
}

function longest(zones: readonly Zone[], name: Uint8Array): Zone | undefined {
  let found: Zone | undefined;
  for (const zone of zones) {
    if (zone.name.length <= (found?.name.length ?? 0)) continue;
    if (isSubdomain(name, zone.name)) found = zone;
  }
  return found;
}

function fits({ types, nets }: Policy, type: number, client: Uint8Array): boolean {
  if (types !== undefined && !types.has(type)) return false;
  return nets === undefined || nets.some((net) => cidrContains(net, client));
}

function denied(query: Query, rcode: number, extended: ExtendedError): Result {
  return madeAnswer(query, { rcode, flags: 0 }, 'acl', { extended, shareable: false });
}
