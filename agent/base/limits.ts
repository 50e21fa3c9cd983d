/** Every limit in one table: its default, and the range that a configuration may set. */

/** One limit: its default, and the least and greatest value that is accepted. All three have the same unit. */
export interface Limit {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

const limit = (def: number, min: number, max: number): Limit => ({ default: def, min, max });

/** All limits by name. The name ends in the unit (`…Ms`, `…Bytes`); without one the value is a count or a factor. */
export const LIMITS = {
  /**
   * The agent's EDNS UDP payload size, bytes (RFC 6891 §6.2.5; 1232 avoids fragmentation on every common path).
   * Listeners read queries up to the maximum, over TCP as well.
   */
  ednsUdpSizeBytes: limit(1232, 512, 4096),
  /** The same for clients that ask on an address that does not leave the node: no path there drops fragments. */
  localUdpSizeBytes: limit(4096, 512, 4096),
  /** The node's own share (host network) of client memory, as a multiple of a pod's. */
  nodeShare: limit(8, 1, 1_000),
  /** Time after which a client's query is answered with SERVFAIL, milliseconds. */
  queryDeadlineMs: limit(4_000, 100, 30_000),
  /** TCP client connections on all listeners; above it the client with the most loses its idlest one. */
  tcpConnections: limit(1_000, 8, 100_000),
  /** Connections on all listeners that are accepted and wait for their client's turn. */
  tcpWaiting: limit(1_024, 8, 1_024),
  /** Unanswered queries of a TCP connection above which the agent stops reading from it (RFC 7766 §6.2.1.1). */
  tcpPipelinedQueries: limit(256, 1, 10_000),
  /** A TCP client connection without a query is closed after this time, milliseconds (RFC 7766 §6.2.3). */
  tcpIdleMs: limit(10_000, 100, 3_600_000),
  /** A TCP client that does not read its answers for this long is closed, milliseconds. */
  tcpWriteMs: limit(5_000, 100, 3_600_000),
  /** Unsent responses of one TCP client, bytes; above it the client is closed. */
  tcpUnsentBytes: limit(1024 * 1024, 64 * 1024, 64 * 1024 * 1024),
  /** Requested receive buffer of each UDP listener, bytes. */
  udpReceiveBufferBytes: limit(4 * 1024 * 1024, 64 * 1024, 256 * 1024 * 1024),
  /** Size of the whole cache, bytes, without a cgroup limit, flag or Corefile setting. */
  cacheBytes: limit(32 * 1024 * 1024, 64 * 1024, 64 * 1024 * 1024 * 1024),
  /** Connections to all admin ports; above it the client with the most loses its oldest one. */
  adminConnections: limit(64, 8, 1_024),
  /** Timeout of an incomplete HTTP request, milliseconds. */
  adminRequestMs: limit(5_000, 100, 60_000),
  /** Time in which a client must read an HTTP response, milliseconds; the same as Prometheus's scrape timeout. */
  adminResponseMs: limit(10_000, 100, 300_000),
  /** An HTTP connection without a request is closed after this time, milliseconds. */
  adminIdleMs: limit(5_000, 100, 3_600_000),
  /** Response bytes after which an HTTP connection is closed: the kernel may still buffer them for the client. */
  adminConnectionBytes: limit(1024 * 1024, 64 * 1024, 64 * 1024 * 1024),
  /** Targets of one forward directive, as in CoreDNS. */
  forwardTargets: limit(15, 1, 15),
  /** Length of a pattern in the Corefile, characters (CoreDNS). */
  patternChars: limit(10_000, 1, 10_000),
  /**
   * Instructions of a compiled pattern. One character of a name costs each of them 40 ns at most, and names have at
   * most 255 bytes.
   */
  patternInstructions: limit(5_000, 1, 5_000),
  /** The same for all patterns of a configuration together: a query may be matched against every one. */
  allPatternInstructions: limit(20_000, 1, 20_000),
} as const satisfies Record<string, Limit>;
