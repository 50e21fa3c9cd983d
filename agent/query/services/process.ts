/** Settings of the whole process that a directive may change. */

/** Timeouts of TCP clients; an absent one keeps its default. */
export interface TcpTimeouts {
  /** Maximum time before a connection's first query, milliseconds; default `idleMs`. */
  readonly readMs?: number;
  /** Maximum time a client may leave answers unread, milliseconds. */
  readonly writeMs?: number;
  /** Maximum time without a query, milliseconds. */
  readonly idleMs?: number;
  /** Maximum queries of a connection; then they are answered and it is closed. */
  readonly maxQueries?: number;
}

/** Settings of the whole process that a directive may change. If several blocks set one, the last wins. */
export interface ProcessSettings {
  /** Keep answering for this long after shutdown begins, milliseconds. */
  lameduck(durationMs: number): void;
  /** Check for a changed Corefile at this interval, milliseconds; jitter 0 is allowed. */
  reload(intervalMs: number, jitterMs: number): void;
  /** Writes the log's `debug` lines as well. */
  debug(): void;
  /** Measure this block's queries (`coredns_dns_*`). */
  measureTraffic(): void;
  /** Timeouts of TCP clients on the addresses of this block. */
  tcpTimeouts(timeouts: TcpTimeouts): void;
  /** Names of plugins, in all blocks, that are not ready to answer. */
  unready(): readonly string[];
}
