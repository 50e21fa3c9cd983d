/** The server block that a plugin is set up for, and the listeners that serve it. */
import type { Family } from '../../base/address.ts';

/**
 * A listener as metrics name it. `label` reads `dns://169.254.20.10:53`, and `dns://:53` for every address; `index` is
 * small, dense and never reused.
 */
export interface ServerLabel {
  readonly index: number;
  readonly label: string;
  /** Of the socket that a query came in at, where its listener has several. */
  readonly family?: Family;
  /** As `family`; undefined where the socket itself takes every address. */
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
  /** Fingerprint of all directives below `cache`: when it changes, cached answers may no longer be right. */
  readonly belowCache: string;
  readonly servers: readonly ServerLabel[];
  /** `address:port` of every listener of the configuration, other blocks' too. */
  readonly listening?: readonly string[];
  /** The node's addresses now. */
  readonly nodeAddresses?: () => readonly string[];
}
