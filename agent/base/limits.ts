/** Every bound in one table: what it is when nobody says, and how far a configuration may move it. */

export interface Limit {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

const limit = (def: number, min: number, max: number): Limit => ({ default: def, min, max });

export const LIMITS = {
  /**
   * Our EDNS UDP payload size, octets (RFC 6891 §6.2.5; 1232 avoids fragmentation on every common path). Listeners take
   * queries of up to the largest one.
   */
  ednsUdpSizeBytes: limit(1232, 512, 4096),
  /** The same towards clients that ask on an address that does not leave the node: no path there drops fragments. */
  localUdpSizeBytes: limit(4096, 512, 4096),
  /** How many times the share of a pod the node itself (host network) may hold of what clients make the agent hold. */
  nodeShare: limit(8, 1, 1_000),
  /** Time one client query may take before it is answered with SERVFAIL, milliseconds. */
  queryDeadlineMs: limit(4_000, 100, 30_000),
  /** TCP client connections, all listeners together; over it the client with the most loses its idlest one. */
  tcpConnections: limit(1_000, 8, 100_000),
  /** Queries a TCP client may have unanswered on one connection before we stop reading from it (RFC 7766 §6.2.1.1). */
  tcpPipelinedQueries: limit(256, 1, 10_000),
  /** A TCP client connection without a query is closed after this, milliseconds (RFC 7766 §6.2.3). */
  tcpIdleMs: limit(10_000, 100, 3_600_000),
  /** A TCP client that does not read its answers for this long is closed, milliseconds. */
  tcpWriteMs: limit(5_000, 100, 3_600_000),
  /** Responses that may wait for one TCP client to read, octets; over it the client is closed. */
  tcpUnsentBytes: limit(1024 * 1024, 64 * 1024, 64 * 1024 * 1024),
  /** Receive buffer asked for each UDP listener, octets. */
  udpReceiveBufferBytes: limit(4 * 1024 * 1024, 64 * 1024, 256 * 1024 * 1024),
  /** Whole cache, octets, when neither cgroup, flag nor Corefile says. */
  cacheBytes: limit(32 * 1024 * 1024, 64 * 1024, 64 * 1024 * 1024 * 1024),
  /** Connections to admin ports, all ports together; over it the client with most of them loses its oldest one. */
  adminConnections: limit(64, 8, 1_024),
  /** An HTTP request must be complete within this, milliseconds. */
  adminRequestMs: limit(5_000, 100, 60_000),
  /** An HTTP response must be taken by its client within this, milliseconds; as long as Prometheus gives a scrape. */
  adminResponseMs: limit(10_000, 100, 300_000),
  /** An HTTP connection without a request is closed after this, milliseconds. */
  adminIdleMs: limit(5_000, 100, 3_600_000),
  /** Bytes of responses after which an HTTP connection is closed: the kernel may still hold them for the client. */
  adminConnectionBytes: limit(1024 * 1024, 64 * 1024, 64 * 1024 * 1024),
  /** Targets of one forward directive, as in CoreDNS. */
  forwardTargets: limit(15, 1, 15),
  /** Length of a pattern in the Corefile, characters (CoreDNS). */
  patternChars: limit(10_000, 1, 10_000),
  /**
   * Instructions of a compiled pattern. One character of a name costs each of them 40 ns at the very most, and names have
   * at most 255 bytes.
   */
  patternInstructions: limit(5_000, 1, 5_000),
  /** The same for all patterns of a configuration together: a query may meet every one. */
  allPatternInstructions: limit(20_000, 1, 20_000),
} as const satisfies Record<string, Limit>;
