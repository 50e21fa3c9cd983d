/** What a directive may ask of the whole process. */

/** Patience with TCP clients; what is absent keeps its default. */
export interface TcpTimeouts {
  /** How long a connection may be without its first query, milliseconds; as `idleMs` by default. */
  readonly readMs?: number;
  /** How long a client may leave answers unread, milliseconds. */
  readonly writeMs?: number;
  /** How long a connection may be without a query, milliseconds. */
  readonly idleMs?: number;
  /** Queries after which a connection is answered and closed. */
  readonly maxQueries?: number;
}

/** What a directive may ask of the whole process. The last block that says wins. */
export interface ProcessSettings {
  /** Answer on for this long after shutdown begins, milliseconds. */
  lameduck(durationMs: number): void;
  /** Look for a changed Corefile at this interval, milliseconds; 0 jitter allowed. */
  reload(intervalMs: number, jitterMs: number): void;
  debug(): void;
  /** Measure this block's queries (`coredns_dns_*`). */
  measureTraffic(): void;
  /** Patience with clients of the addresses that this block is served on. */
  tcpTimeouts(patience: TcpTimeouts): void;
  /** Names of plugins, of every block, that are not ready to answer. */
  unready(): readonly string[];
}
