/**
 * What must be true of the node's network while nodens serves it, as data: addresses and rules. Backends
 * turn rules into nft or iptables text; nothing here touches the system.
 */
import { type Family, familyOf } from '../../agent/base/address.ts';
import { type Fallback, fallbackOf } from './fallback.ts';
import { type TcpAffinity, tcpAffinitiesOf } from './tcp-affinity.ts';

export type Hook = 'prerouting' | 'input' | 'output';
export type Protocol = 'udp' | 'tcp';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** One rule for one family and protocol. All fields must match for the verdict to hold. */
export interface Rule {
  /** Unique in its plan, `[a-z0-9-]+`; shows up as the rule's comment. */
  readonly id: string;
  readonly hook: Hook;
  readonly family: Family;
  readonly protocol: Protocol;
  /** Local IPs of `family`; one of them is the packet's `side` address, and `port` its `side` port. */
  readonly addresses: readonly string[];
  readonly side: 'source' | 'destination';
  readonly port: number;
  /** Matches only where the port on the other side is one of these, both included. */
  readonly peerPorts?: PortRange;
  /** Matches only while a socket of this node would take the packet: when its owner dies, so does the rule. */
  readonly whileBound: boolean;
  /** Matches only packets that came in through `lo`. */
  readonly fromLoopback: boolean;
  /**
   * TCP only: matches only the packet that opens a connection, and carries this bit of the mark, as `TcpAffinity` has it: the
   * rest of the connection is known there.
   */
  readonly synMark?: number;
  readonly verdict: 'notrack' | 'accept';
}

/**
 * Rules by lifetime. `query`: goes away on withdrawal; `standing`, `flows` and `fallback`: only on cleanup; `accept`:
 * where a policy drops.
 */
export interface RuleSet {
  readonly query: readonly Rule[];
  readonly standing: readonly Rule[];
  readonly accept: readonly Rule[];
  readonly tcpAffinities: readonly TcpAffinity[];
  readonly fallback: Fallback;
  /** What stands for local IPs that are not of this plan; absent where there are none. */
  readonly kept?: Kept;
}

/**
 * Standing rules for local IPs of others: of earlier settings, as long as an agent answers there, or of another nodens.
 * Without them its late answers would open conntrack entries, see `reply`.
 */
export interface Kept {
  readonly standing: readonly Rule[];
  readonly accept: readonly Rule[];
  /** In place of the plan's own: for its local IPs and those of others. */
  readonly tcpAffinities: readonly TcpAffinity[];
  /** Local IPs that no rule shall speak of any more. */
  readonly gone: readonly string[];
}

export interface Plan {
  readonly interfaceName: string;
  readonly addresses: readonly string[];
  /** Local IPs that the rules are about: those that are probed. */
  readonly interceptedIps: readonly string[];
  readonly clusterIps: readonly string[];
  readonly rules: RuleSet;
}

/**
 * How much of the query direction is in place. `full`: pods and host clients; `socket-guarded`: pods, only while a socket is
 * bound; `none`: withdrawn, the cluster's own path serves.
 */
export type Interception = 'full' | 'socket-guarded' | 'none';

export interface PlanOptions {
  readonly localIps: readonly string[];
  readonly interfaceName: string;
  readonly port: number;
  /** Port of the agent's health endpoint on the local IPs, undefined for none. */
  readonly healthPort: number | undefined;
  /** Source ports of init's probes. */
  readonly probePorts: PortRange;
  /** ClusterIPs of kube-dns, at most one of a family. */
  readonly clusterIps: readonly string[];
  /** A single bit, of the fallback and of `TcpAffinity`: each has cleared it before the other sets it. */
  readonly fallbackMark: number;
}

const PROTOCOLS: readonly Protocol[] = ['udp', 'tcp'];

export function planOf(options: PlanOptions): Plan {
  return {
    interfaceName: options.interfaceName,
    addresses: options.localIps,
    interceptedIps: options.localIps,
    clusterIps: options.clusterIps,
    rules: {
      query: [...dnsRules(options, podQuery), ...dnsRules(options, hostQuery)].map((rule) =>
        withSynMark(rule, options.fallbackMark),
      ),
      standing: [
        ...dnsRules(options, { ...probe, peerPorts: options.probePorts }),
        ...dnsRules(options, reply),
        ...healthRules(options, healthUntracked),
      ],
      tcpAffinities: tcpAffinitiesOf({ ...options, mark: options.fallbackMark }),
      fallback: fallbackOf({ ...options, mark: options.fallbackMark }),
      accept: [
        ...ACCEPTED.flatMap((accepted) => dnsRules(options, accepted('dns'))),
        ...ACCEPTED.flatMap((accepted) => healthRules(options, accepted('health'))),
      ],
    },
  };
}

/** The rules that shall exist at this degree of interception. */
export function rulesAt(rules: RuleSet, interception: Interception): RuleSet {
  if (interception === 'full') return rules;
  const bound = interception === 'none' ? [] : rules.query.filter((rule) => rule.whileBound);
  return { ...rules, query: bound };
}

/** The rules where nothing remembers connections: query rules then match every packet of one. */
export function withoutTcpAffinity(rules: RuleSet): RuleSet {
  const query = rules.query.map(({ synMark: _, ...rule }) => rule);
  return { ...rules, tcpAffinities: [], query };
}

function withSynMark(rule: Rule, synMark: number): Rule {
  return rule.protocol === 'tcp' ? { ...rule, synMark } : rule;
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
 * A late answer of a dead or withdrawn agent would otherwise open a conntrack entry that captures the client's socket:
 * this one stays.
 */
const reply: Shape = { ...hostQuery, id: 'reply', side: 'source' };

/** init's probes must reach the agent and nobody else, in every state: what comes back goes by `reply`. */
const probe: Shape = { ...hostQuery, id: 'probe' };

/** The kubelet's probes must reach a healthy agent when the conntrack table is full. */
const healthUntracked: readonly Shape[] = [
  { ...hostQuery, id: 'health-query' },
  { ...reply, id: 'health-reply' },
];

/**
 * Untracked packets match no `established` rule, so where a policy drops, both directions need a rule of their own:
 * queries of pods and of the host come in, answers go out, and the host's own traffic passes both hooks over `lo`.
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

function dnsRules(options: PlanOptions, shape: Shape): Rule[] {
  return PROTOCOLS.flatMap((protocol) => perFamily(options, shape, protocol, options.port));
}

function healthRules(options: PlanOptions, shapes: Shape | readonly Shape[]): Rule[] {
  const { healthPort } = options;
  if (healthPort === undefined) return [];
  return [shapes].flat().flatMap((shape) => perFamily(options, shape, 'tcp', healthPort));
}

function perFamily(options: PlanOptions, shape: Shape, protocol: Protocol, port: number): Rule[] {
  return ([4, 6] as const).flatMap((family) => {
    const addresses = options.localIps.filter((address) => familyOf(address) === family);
    if (addresses.length === 0) return [];
    return [
      { ...shape, id: `${shape.id}-${protocol}${family}`, family, protocol, addresses, port },
    ];
  });
}
