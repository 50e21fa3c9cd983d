/** The server block that a plugin is set up for, and the listeners that serve it. */
import type { Family } from '../../base/address.ts';

/**
 * A listener as metrics name it. `label` is `dns://169.254.20.10:53`, or `dns://:53` for every address; `index` is
 * small, dense and never reused.
 */
export interface ServerLabel {
  readonly index: number;
  readonly label: string;
  /** Address family of the socket that received the query, if its listener has several sockets. */
  readonly family?: Family;
  /** As `family`; undefined if the socket itself serves every address. */
  readonly address?: string;
}

/** The server block a plugin is set up for. */
export interface BlockContext {
  /** Identity by zones, ports, binds and view; the same integer before and after a reload, at most 65,535. */
  readonly id: number;
  /** Lower-case zones with trailing dot. */
  readonly zones: readonly string[];
  /** Name of its `view`; '' for a block without one. Label `view` of series. */
  readonly view: string;
  /** Fingerprint of all directives below `cache`: after a change, cached answers may be wrong. */
  readonly belowCache: string;
  readonly servers: readonly ServerLabel[];
  /** `address:port` of every listener of the configuration, including other blocks. */
  readonly listening?: readonly string[];
  /** Reads the node's current addresses. */
  readonly nodeAddresses?: () => readonly string[];
}
