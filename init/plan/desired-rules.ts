/**
 * The one answer to "which rules exist now": from the plan of the node and the state of interception. Pure data: the
 * reconciler asks, backends print. test/unit/init/plan/desired-rules.test.ts shows each state with its rules.
 */
import { familyOf } from '../../agent/base/address.ts';
import type { Endpoints } from '../endpoints/set.ts';
import { fallbackNow, NO_FALLBACK } from './fallback.ts';
import type { Kept, Plan, Protocol, Rule, RuleSet } from './plan.ts';
import { tcpAffinitiesOf } from './tcp-affinity.ts';

/**
 * How many clients the agent's query rules serve. `full`: pods and host clients; `socket-guarded`: pods, each rule only
 * while a socket is bound; `none`: no client, kube-proxy and the fallback serve all.
 */
export type Interception = 'full' | 'socket-guarded' | 'none';

/** All that decides which of the plan's rules exist. */
export interface RuleState {
  readonly interception: Interception;
  /** Whether the kernel can remember TCP connections. Otherwise query rules match each packet of a connection. */
  readonly hasTcpAffinity: boolean;
  /** Whether the kernel can rewrite packets before connection tracking. */
  readonly hasFallback: boolean;
  /** ClusterIPs of kube-dns that kube-proxy's rules know. */
  readonly servedIps: readonly string[];
  /** Endpoints of kube-dns; none where they are unknown or must not be used. */
  readonly endpoints: Endpoints;
  /** Local IPs that are not of this plan, but whose standing rules stay. */
  readonly keptIps: readonly string[];
  /** Local IPs of earlier settings that no rule may name any more. */
  readonly removedIps: readonly string[];
}

/**
 * Pure. The order of `keptIps` does not matter: equal states make the same rules, so a backend has nothing to write
 * for the second.
 */
export function desiredRules(plan: Plan, state: RuleState): RuleSet {
  const own: Subject = { ...plan, ips: plan.interceptedIps };
  const kept: Subject = { ...plan, ips: state.keptIps.toSorted() };
  return {
    query: queryRules(own, state),
    standing: standingRules(own),
    accept: acceptRules(own),
    tcpAffinities: state.hasTcpAffinity ? tcpAffinitiesOf(plan, kept.ips) : [],
    fallback: state.hasFallback ? fallbackNow(plan.fallback, state) : NO_FALLBACK,
    kept: keptRules(kept, state.removedIps),
  };
}

/** Each rule that the plan may come to, but for those to endpoints: what a kernel has to accept. */
export function allRules(plan: Plan): RuleSet {
  return desiredRules(plan, {
    interception: 'full',
    hasTcpAffinity: true,
    hasFallback: true,
    servedIps: plan.clusterIps,
    endpoints: { udp: [], tcp: [] },
    keptIps: [],
    removedIps: [],
  });
}

/**
 * Changes when this init itself wants other rules. Kept rules are not part of it: they follow what other inits on the
 * node write.
 */
export function fingerprintOf({ kept, tcpAffinities, ...own }: RuleSet): string {
  const affinities = tcpAffinities.map(({ keptAddresses: _, ...affinity }) => affinity);
  return JSON.stringify([own, affinities, kept.removedIps]);
}

/** Local IPs, and what of the plan their rules need. */
interface Subject extends Pick<Plan, 'port' | 'healthPort' | 'probePorts' | 'fallbackMark'> {
  readonly ips: readonly string[];
}

function queryRules(subject: Subject, { interception, hasTcpAffinity }: RuleState): Rule[] {
  if (interception === 'none') return [];
  const shapes = interception === 'full' ? [podQuery, hostQuery] : [podQuery];
  const synMark = hasTcpAffinity ? { synMark: subject.fallbackMark } : {};
  return shapes
    .flatMap((shape) => dnsRules(subject, shape))
    .map((rule) => (rule.protocol === 'tcp' ? { ...rule, ...synMark } : rule));
}

function standingRules(subject: Subject): Rule[] {
  return [
    ...dnsRules(subject, { ...probe, peerPorts: subject.probePorts }),
    ...dnsRules(subject, reply),
    ...healthRules(subject, healthUntracked),
  ];
}

function acceptRules(subject: Subject): Rule[] {
  return [
    ...ACCEPTED.flatMap((accepted) => dnsRules(subject, accepted('dns'))),
    ...ACCEPTED.flatMap((accepted) => healthRules(subject, [accepted('health')])),
  ];
}

/** Tells rules for kept local IPs from those for the plan's own. */
const KEPT_PREFIX = 'left-';

function keptRules(subject: Subject, removedIps: readonly string[]): Kept {
  const named = (rule: Rule): Rule => ({ ...rule, id: `${KEPT_PREFIX}${rule.id}` });
  return {
    standing: standingRules(subject).map(named),
    accept: acceptRules(subject).map(named),
    removedIps,
  };
}

type Shape = Omit<Rule, 'family' | 'protocol' | 'addresses' | 'port'>;

const podQuery: Shape = {
  id: 'query-pod',
  hook: 'prerouting',
  side: 'destination',
  whileBound: true,
  fromLoopback: false,
  verdict: 'notrack',
};

/** The output hook has no match for the receiving socket: init removes this rule when the agent ends. */
const hostQuery: Shape = { ...podQuery, id: 'query-host', hook: 'output', whileBound: false };

/**
 * A late reply of a dead or withdrawn agent would otherwise open a conntrack entry that captures the client's socket.
 * So this rule stays.
 */
const reply: Shape = { ...hostQuery, id: 'reply', side: 'source' };

/** In every state init's probes must reach the agent and no other server. Their answers match `reply`. */
const probe: Shape = { ...hostQuery, id: 'probe' };

/** The kubelet's probes must reach a healthy agent when the conntrack table is full. */
const healthUntracked: readonly Shape[] = [
  { ...hostQuery, id: 'health-query' },
  { ...reply, id: 'health-reply' },
];

/**
 * Untracked packets match no `established` rule. Where a policy drops, both directions need a rule of their own:
 * queries of pods and of the host come in, replies go out, and the host's own traffic passes both hooks over `lo`.
 */
const ACCEPTED = (
  [
    ['in-query', 'input', 'destination'],
    ['in-reply', 'input', 'source'],
    ['out-query', 'output', 'destination'],
    ['out-reply', 'output', 'source'],
  ] as const
).map(
  ([name, hook, side]) =>
    (what: 'dns' | 'health'): Shape => ({
      id: `accept-${what}-${name}`,
      hook,
      side,
      whileBound: false,
      fromLoopback: hook === 'input' && (side === 'source' || what === 'health'),
      verdict: 'accept',
    }),
);

const PROTOCOLS: readonly Protocol[] = ['udp', 'tcp'];

function dnsRules(subject: Subject, shape: Shape): Rule[] {
  return PROTOCOLS.flatMap((protocol) => perFamily(subject, shape, protocol, subject.port));
}

function healthRules(subject: Subject, shapes: readonly Shape[]): Rule[] {
  const { healthPort } = subject;
  if (healthPort === undefined) return [];
  return shapes.flatMap((shape) => perFamily(subject, shape, 'tcp', healthPort));
}

function perFamily({ ips }: Subject, shape: Shape, protocol: Protocol, port: number): Rule[] {
  return ([4, 6] as const).flatMap((family) => {
    const addresses = ips.filter((ip) => familyOf(ip) === family);
    if (addresses.length === 0) return [];
    const id = `${shape.id}-${protocol}${family}`;
    return [{ ...shape, id, family, protocol, addresses, port }];
  });
}
