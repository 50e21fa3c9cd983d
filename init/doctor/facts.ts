/** What the doctor knows about a node: gathered in one go, judged afterwards by pure functions. */
import type { Conntrack, UdpSocket } from '../node/proc.ts';

/**
 * What was read, or why it could not be: a doctor without rights says what it has not seen. `remedy` where it is not to
 * have more rights.
 */
export type Seen<T> = { readonly value: T } | { readonly unseen: string; readonly remedy?: string };

/** Transports over which the doctor asks. */
export type Transport = 'udp' | 'tcp';

/** An address on a link of this node, as ip-address(8) shows it. */
export interface NodeAddress {
  readonly address: string;
  readonly link: string;
  /** `host`, `global`, `link`. */
  readonly scope: string;
  readonly deprecated: boolean;
  /** Marked as put there by nodens, or on the link of a node-local-dns. */
  readonly owner: 'nodens' | 'node-local-dns' | undefined;
}

/** Answer to one question; `error` where none came: `timeout` or an errno. */
export type Reply =
  | { readonly rcode: number; readonly text: string | undefined; readonly ms: number }
  | { readonly error: string };

/** What a local IP answers when asked which nodens is there. */
export interface LocalReply {
  readonly address: string;
  readonly transport: Transport;
  readonly reply: Reply;
}

/** What kube-dns says of the Service `kubernetes.default`, or a resolver of the root's NS records. */
export interface UpstreamReply {
  readonly server: string;
  readonly role: 'kube-dns' | 'resolver';
  readonly transport: Transport;
  readonly reply: Reply;
}

/** All rules of the node as text, each in the words of the program that wrote it. */
export interface Rules {
  /** `nft list table` of each table that is not, or not only, iptables'. */
  readonly nft: string;
  /** `iptables-nft-save` and `ip6tables-nft-save` where there are such tables. */
  readonly iptables: string;
  /** `iptables-legacy-save` of tables that exist. */
  readonly legacy: string;
}

/** What the environment and the command line say about the cluster. */
export interface ClusterTold {
  readonly domain: string;
  /** Whether it was said; else it is what clusters mostly have. */
  readonly isDomainTold: boolean;
  /** Whether kube-dns has the Service `kubernetes.default`. */
  readonly knowsKubernetes: boolean;
  /** ClusterIPs of kube-dns as the settings say. */
  readonly clusterIps: readonly string[];
  /** ClusterIP of kube-dns as the kubelet says. */
  readonly kubeDnsService: string | undefined;
}

/** What init says of interception. */
export interface InitView {
  readonly state: string;
  /** After a hang: time before the agent may be trusted again, 0 if it is over; undefined if it is trusted. */
  readonly untilTrustedMs: number | undefined;
}

/** What the agent says of the upstreams that it has met: how many, and which of them failed their probes. */
export interface AgentUpstreams {
  readonly count: number;
  readonly down: readonly string[];
}

/** Everything that findings follow from. `--json` prints it beside them. */
export interface Facts {
  /** No init belongs to the agent: no address and no rule of the node is nodens's. */
  readonly withoutInit: boolean;
  /** Addresses that nodens answers on, as told or found. */
  readonly localIps: readonly string[];
  /** Local IPs of earlier settings that init has not taken off yet; none of `localIps`. */
  readonly leftIps: readonly string[];
  readonly port: number;
  /** ClusterIPs at which the doctor asks kube-dns; empty if neither the settings nor rules name one. */
  readonly kubeDns: readonly string[];
  readonly cluster: ClusterTold;
  readonly addresses: Seen<readonly NodeAddress[]>;
  readonly links: Seen<readonly string[]>;
  readonly rules: Seen<Rules>;
  /** Whether the Corefile on disk is valid, as the running agent says. */
  readonly isConfigValid: Seen<boolean>;
  readonly agentUpstreams: Seen<AgentUpstreams>;
  readonly init: Seen<InitView>;
  readonly local: readonly LocalReply[];
  readonly upstreams: readonly UpstreamReply[];
  readonly resolvConf: Seen<string>;
  readonly conntrack: Seen<Conntrack>;
  readonly sockets: Seen<readonly UdpSocket[]>;
}

/** `unseen`: the doctor could not look. The exit code follows from the worst, see `exitCodeOf`. */
export type Verdict = 'ok' | 'warn' | 'fail' | 'unseen';

/** One line of the doctor's screen. */
export interface Finding {
  readonly id: string;
  readonly verdict: Verdict;
  readonly message: string;
  /** What to do; undefined where nothing is to be done. */
  readonly remedy?: string;
}
