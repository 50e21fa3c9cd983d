/** Upstreams as plugins see them: groups of upstreams that answer the same questions. */
import type { Endpoint } from '../../base/address.ts';
import type { Reply } from '../../dns/reply.ts';
import type { Transport } from '../query.ts';

export type Policy = 'random' | 'round_robin' | 'sequential';

/** DNS over TLS to one upstream (RFC 7858): always verified, by name where there is one, else by address. */
export interface UpstreamTls {
  readonly serverName?: string | undefined;
  /** PEM texts: who is trusted (undefined: whom the system trusts), and what we show the upstream. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface UpstreamEndpoint extends Endpoint {
  /** Undefined: plain DNS. */
  readonly tls?: UpstreamTls | undefined;
}

/** An upstream by name: it stands for every address that the name has at the moment. */
export interface UpstreamName {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly port: number;
  readonly tls?: UpstreamTls | undefined;
  /** Number of `upstreams` in front of it in the Corefile. */
  readonly before: number;
}

/** A set of upstreams that answer the same questions. */
export interface UpstreamGroupOptions {
  /** Value of the label `proxy_name`: the plugin that forwards. */
  readonly name: string;
  /** Where there is none, every query ends with SERVFAIL. */
  readonly upstreams: readonly UpstreamEndpoint[];
  /** In the order of the Corefile. */
  readonly names?: readonly UpstreamName[] | undefined;
  /** Who is asked for the addresses of `names`, the first that answers counts. */
  readonly resolvers?: readonly Endpoint[] | undefined;
  /** Whether nodens itself listens at an address: a name that leads there is not followed. */
  readonly isOwn?: ((endpoint: Endpoint) => boolean) | undefined;
  readonly policy: Policy;
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** Failed probes in a requestMetrics above which an upstream counts as down; 0: never, and no probes. */
  readonly maxFails: number;
  readonly healthCheck: HealthCheckOptions;
  /** An idle connection is closed after this, milliseconds. */
  readonly expireMs: number;
  /** Queries under way at once; 0: no bound of its own. */
  readonly maxConcurrent: number;
  /** Upstreams tried for one query; 0: as many as the deadline allows. */
  readonly maxConnectAttempts: number;
  /** SERVFAIL at once when every upstream is down, instead of trying one of them. */
  readonly failFastAllUnhealthy: boolean;
  /** Rcodes on which another upstream is tried. */
  readonly failoverRcodes: readonly number[];
  /** A connection takes no queries after about this, milliseconds; 0: no bound. Undefined: as the transport has it. */
  readonly maxAgeMs?: number | undefined;
  /** Idle connections kept to one upstream; 0 or undefined: all. */
  readonly maxIdleConnections?: number | undefined;
  /** No reply for this long, milliseconds, is one too late; undefined: learned from the upstream. */
  readonly readTimeoutMs?: number | undefined;
  /** Random letter case in questions over UDP, which the reply must repeat (draft-vixie-dnsext-dns0x20). */
  readonly randomizeCase?: boolean | undefined;
  /** A UDP socket of its own, and so a port, for each query. */
  readonly socketPerQuery?: boolean | undefined;
  /** Queries go out without OPT; undefined: learned from the upstream. */
  readonly noEdns?: boolean | undefined;
  /**
   * Name, wire form, that the upstreams resolve to the endpoints behind them: those are asked, the upstreams only where no
   * endpoint is of use.
   */
  readonly endpointsName?: Uint8Array | undefined;
}

export interface HealthCheckOptions {
  readonly intervalMs: number;
  readonly recursionDesired: boolean;
  /** Wire name asked (type NS). */
  readonly domain: Uint8Array;
}

/** What goes up: our own query, never a copy of the client's. */
export interface UpstreamQuestion {
  /** Lower-case wire form. Kept as long as the exchange runs. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
  /** EDNS options, as on the wire, to send along. */
  readonly options?: Uint8Array | undefined;
  /** Transport of the client, which UDP-capable groups follow for TCP, as in CoreDNS. */
  readonly clientTransport: Transport;
  /** The client against whose share it counts; the agent's own where it is absent. */
  readonly clientKey?: string;
}

export interface UpstreamReply {
  readonly reply: Reply;
  /** Who answered, `address:port`. */
  readonly upstream: string;
  readonly transport: Transport;
}

export interface UpstreamGroup {
  /**
   * One question, one deadline (`budgetMs` from now). Rejects with DnsError(SERVFAIL, …) carrying an extended error
   * (network error 23, no reachable authority 22), or DnsError(REFUSED) over `maxConcurrent`. Throws GaveWayError where
   * the client has more queries waiting than any other one and there is no room for more.
   */
  exchange(question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply>;
  /** Whether every name among its upstreams has been resolved once. Absent: it has none. */
  isResolved?(): boolean;
  /** Lets go of the group; its upstreams are closed when no group uses them any more. */
  release(): void;
}

export interface Upstreams {
  /** Connections and health are shared with every group that names the same target, and live over reloads. */
  group(options: UpstreamGroupOptions): UpstreamGroup;
}
