/** Upstreams as plugins see them: groups that answer the same questions. */
import type { Endpoint } from '../../base/address.ts';
import type { Reply } from '../../dns/reply.ts';
import type { Transport } from '../query.ts';

/** The order in which a group tries its upstreams, as CoreDNS's option `policy`. */
export type Policy = 'random' | 'round_robin' | 'sequential';

/** A resource for DNS over HTTPS. */
export interface UpstreamHttps {
  /** Path, perhaps with a query, without `dns=`. */
  readonly path: string;
  readonly method: 'GET' | 'POST';
}

/** DNS over TLS to one upstream (RFC 7858): always verified, by name if one is given, else by address. */
export interface UpstreamTls {
  readonly serverName?: string | undefined;
  /** PEM texts: trusted CAs (undefined: the system's), and the agent's own certificate and key for the upstream. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Set: DNS over HTTPS (RFC 8484). */
  readonly https?: UpstreamHttps | undefined;
}

/** An upstream given by address. */
export interface UpstreamEndpoint extends Endpoint {
  /** Undefined: plain DNS; else DNS over TLS or HTTPS. */
  readonly tls?: UpstreamTls | undefined;
}

/** An upstream given by name: it represents every address that the name currently has. */
export interface UpstreamName {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly port: number;
  readonly tls?: UpstreamTls | undefined;
  /** Number of `upstreams` before it in the Corefile. */
  readonly before: number;
}

/** A set of upstreams that answer the same questions. */
export interface UpstreamGroupOptions {
  /** Value of the label `proxy_name`: the plugin that forwards. */
  readonly name: string;
  /** If empty, every query ends with SERVFAIL. */
  readonly upstreams: readonly UpstreamEndpoint[];
  /** In the order of the Corefile. */
  readonly names?: readonly UpstreamName[] | undefined;
  /** Servers that resolve the addresses of `names`; the first answer counts. */
  readonly resolvers?: readonly Endpoint[] | undefined;
  /** Whether nodens itself listens at an address: a name that resolves to it is ignored. */
  readonly isOwn?: ((endpoint: Endpoint) => boolean) | undefined;
  readonly policy: Policy;
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** Failed probes in a row after which an upstream counts as down; 0: never, and no probes. */
  readonly maxFails: number;
  readonly healthCheck: HealthCheckOptions;
  /** An idle connection is closed after this time, milliseconds. */
  readonly expireMs: number;
  /** Maximum queries in flight; 0: no limit of the group. */
  readonly maxConcurrent: number;
  /** Upstreams tried for one query; 0: as many as the deadline allows. */
  readonly maxConnectAttempts: number;
  /** SERVFAIL at once when every upstream is down, instead of trying one of them. */
  readonly failFastAllUnhealthy: boolean;
  /** Rcodes on which another upstream is tried. */
  readonly failoverRcodes: readonly number[];
  /**
   * Maximum age at which a connection takes new queries, about, milliseconds; 0: no limit. Undefined: the transport's
   * default.
   */
  readonly maxAgeMs?: number | undefined;
  /** Idle connections kept to one upstream; 0 or undefined: all. */
  readonly maxIdleConnections?: number | undefined;
  /** Timeout of a reply, milliseconds; undefined: learned from the upstream. */
  readonly readTimeoutMs?: number | undefined;
  /** Random letter case in questions over UDP, which the reply must repeat (draft-vixie-dnsext-dns0x20). */
  readonly randomizeCase?: boolean | undefined;
  /** A separate UDP socket, and so a separate source port, for each query. */
  readonly socketPerQuery?: boolean | undefined;
  /** Address of the node to send from, to upstreams of its family; undefined: the kernel chooses. */
  readonly sourceAddress?: string | undefined;
  /** Send queries without OPT; undefined: learned from the upstream. */
  readonly noEdns?: boolean | undefined;
  /**
   * Name, wire form, that the upstreams resolve to the endpoints behind them. Queries go to those; the upstreams
   * themselves get queries only if no endpoint is usable.
   */
  readonly endpointsName?: Uint8Array | undefined;
}

/** CoreDNS's option `health_check` with defaults filled in. `intervalMs` is varied by a quarter for each probe. */
export interface HealthCheckOptions {
  readonly intervalMs: number;
  readonly recursionDesired: boolean;
  /** Wire name of the probe's question (type NS). */
  readonly domain: Uint8Array;
}

/** How a query reaches an upstream. */
export type UpstreamProtocol = 'udp' | 'tcp' | 'tls' | 'https';

/** A query that was sent to an upstream, once it is answered or given up. */
export interface ForwardedQuery {
  readonly upstream: Endpoint;
  readonly protocol: UpstreamProtocol;
  /** Clock moment, milliseconds. */
  readonly sentMs: number;
  /** The message as it was sent. */
  query(): Uint8Array;
  /** The message as it was received, valid only during the call; undefined without a reply. */
  readonly response: Uint8Array | undefined;
}

/** Sees every query of a block to its upstreams. Never throws. */
export type ForwardTap = (forwarded: ForwardedQuery) => void;

/** Where a plugin of the block says that it wants to see the queries that another one forwards. */
export interface BlockTaps {
  forwarded: ForwardTap | undefined;
}

/** A question for an upstream: the agent's own query, never a copy of the client's. */
export interface UpstreamQuestion {
  /** Lower-case wire form. Must not change while the exchange runs. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
  /** EDNS options to send, as on the wire. */
  readonly options?: Uint8Array | undefined;
  /** The client's transport: groups that may use UDP follow it for TCP, as in CoreDNS. */
  readonly clientTransport: Transport;
  /** The client whose share it counts against; absent: the agent's own. */
  readonly clientKey?: string;
  /** Called for each query that asks it. */
  readonly tap?: ForwardTap | undefined;
}

/** A reply that answers the question, whatever its rcode. */
export interface UpstreamReply {
  readonly reply: Reply;
  /** The upstream that answered, `address:port`. */
  readonly upstream: string;
  readonly transport: Transport;
}

/** Usable until `release`; then `exchange` rejects with SERVFAIL. */
export interface UpstreamGroup {
  /** Whether the client behind `clientKey` has room to wait; if not, counts that it was limited. */
  admits(clientKey: string): boolean;
  /**
   * One question, one deadline (`budgetMs` from now). Rejects with DnsError(SERVFAIL, …) carrying an extended error
   * (network error 23, no reachable authority 22), or with DnsError(REFUSED) over `maxConcurrent`. Throws GaveWayError
   * if the client already has the most queries waiting and there is no room for more.
   */
  exchange(question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply>;
  /** Whether every upstream name has been resolved at least once. Absent: the group has no names. */
  isResolved?(): boolean;
  /** Releases the group. An upstream is closed when no group uses it any more. */
  release(): void;
}

/** The upstreams of the process, as plugins see them. */
export interface Upstreams {
  /** Connections and health are shared by all groups with the same upstream, and outlive reloads. */
  group(options: UpstreamGroupOptions): UpstreamGroup;
}
