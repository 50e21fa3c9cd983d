/** The settings of this node as data, and the shape of rules. Nothing here touches the system. */
import type { Family } from '../../agent/base/address.ts';
import { type Fallback, NO_FALLBACK, possibleFallback } from './fallback.ts';
import type { TcpAffinity } from './tcp-affinity.ts';

/** Hooks of netfilter that rules of a plan are in. */
export type Hook = 'prerouting' | 'input' | 'output';

/** Transports of DNS; each rule is for one of them. */
export type Protocol = 'udp' | 'tcp';

/** Ports from `first` to `last`, both included. */
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

/** The rules that exist on a node in one state of interception; `desiredRules` makes them, backends print them. */
export interface RuleSet {
  /** Take queries to the agent. They exist only while the agent answers. */
  readonly query: readonly Rule[];
  /** Keep probes, replies and health checks out of connection tracking. They stay until cleanup. */
  readonly standing: readonly Rule[];
  /** Wanted only in chains whose policy drops. */
  readonly accept: readonly Rule[];
  /** At most one of a family; they stay until cleanup. Without them nothing remembers connections. */
  readonly tcpAffinities: readonly TcpAffinity[];
  /** Stays until cleanup. */
  readonly fallback: Fallback;
  readonly kept: Kept;
}

/**
 * Standing rules for local IPs that are not of this plan: of earlier settings, as long as an agent answers there, or of
 * another nodens. Without them late replies of that agent would open conntrack entries, see `reply`.
 */
export interface Kept {
  readonly standing: readonly Rule[];
  readonly accept: readonly Rule[];
  /** Local IPs that no rule may name any more. */
  readonly removedIps: readonly string[];
}

/** No rules at all, and no local IP whose rules have to go. */
export const NO_RULES: RuleSet = {
  query: [],
  standing: [],
  accept: [],
  tcpAffinities: [],
  fallback: NO_FALLBACK,
  kept: { standing: [], accept: [], removedIps: [] },
};

/** What init may put on this node: addresses and the parameters of rules. It does not change while init runs. */
export interface Plan {
  readonly interfaceName: string;
  /** Local IPs that `Link` puts on the node: all of them, also those for which the data path allows no rules. */
  readonly addresses: readonly string[];
  /** Local IPs that rules intercept, and that init probes. */
  readonly interceptedIps: readonly string[];
  /** ClusterIPs of kube-dns, at most one of a family. */
  readonly clusterIps: readonly string[];
  readonly port: number;
  /** Port of the agent's health endpoint on the local IPs, undefined for none. */
  readonly healthPort: number | undefined;
  /** Source ports of init's probes. */
  readonly probePorts: PortRange;
  /** A single bit, of the fallback and of `TcpAffinity`: each has cleared it before the other sets it. */
  readonly fallbackMark: number;
  /** What the fallback may come to; `desiredRules` says what exists of it now. */
  readonly fallback: Fallback;
}

/** What `planOf` needs of the settings. */
export interface PlanOptions
  extends Pick<Plan, 'interfaceName' | 'port' | 'healthPort' | 'probePorts' | 'fallbackMark'> {
  readonly localIps: readonly string[];
  /** ClusterIPs of kube-dns, at most one of a family. */
  readonly clusterIps: readonly string[];
}

/**
 * The plan where every local IP is put on the node and intercepted. Addresses are compared as text, so they must be
 * canonical.
 */
export function planOf(options: PlanOptions): Plan {
  const { localIps, fallbackMark } = options;
  return {
    interfaceName: options.interfaceName,
    addresses: localIps,
    interceptedIps: localIps,
    clusterIps: options.clusterIps,
    port: options.port,
    healthPort: options.healthPort,
    probePorts: options.probePorts,
    fallbackMark,
    fallback: possibleFallback({ ...options, mark: fallbackMark }),
  };
}
