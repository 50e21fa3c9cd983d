/** The cache, as the `cache` plugin opens it for a block. */
import type { Handler, Result } from '../handler.ts';
import type { Query } from '../query.ts';
import type { BlockContext } from './block.ts';

/**
 * As in CoreDNS's `serve_stale`: the stale answer first and a refresh behind it, or the upstream first, within
 * `budgetMs`.
 */
export type StaleMode = 'immediate' | 'verify';

/** Use of answers past their TTL (RFC 8767). */
export interface ServeStaleOptions {
  /** How long past its TTL an answer may be used, milliseconds. */
  readonly windowMs: number;
  readonly mode: StaleMode;
  /**
   * How long a client waits before it gets the stale answer, milliseconds: immediate 0, verify 200 (docs/outages.md).
   */
  readonly budgetMs: number;
  /** TTL of a stale answer, seconds (RFC 8767 §4: 30). */
  readonly ttlSeconds: number;
  /** After a failed refresh, clients get the stale answer at once for this long, milliseconds. */
  readonly recheckMs: number;
}

/** How long one kind of answer is stored, and how many entries. */
export interface TtlBounds {
  /** Maximum entries of this block. Only its own entries make room, never another block's. */
  readonly capacity: number;
  readonly maxTtlSeconds: number;
  readonly minTtlSeconds: number;
}

/** A `cache` directive with every default filled in. */
export interface CacheOptions {
  readonly success: TtlBounds;
  readonly denial: TtlBounds;
  /** How long SERVFAIL is stored, milliseconds; 0: never (RFC 9520). */
  readonly servfailMs: number;
  /** Zones, lower-case wire form, whose answers or denials are not stored. */
  readonly disableSuccess: readonly Uint8Array[];
  readonly disableDenial: readonly Uint8Array[];
  /** Respond with the original TTL until expiry. */
  readonly keepTtl: boolean;
  readonly prefetch: PrefetchOptions | undefined;
  readonly serveStale: ServeStaleOptions | undefined;
  readonly lastKnownGood: LastKnownGoodOptions | undefined;
  /** Zones, lower-case wire form, in which a missing name denies all names below it (RFC 8020). */
  readonly nxdomainCut: readonly Uint8Array[];
  /** As `nxdomainCut`, of zones in which the agent asks for the missing name itself. */
  readonly nxdomainProbe: readonly Uint8Array[];
  readonly cluster: ClusterOptions;
}

/** Settings for names that Kubernetes creates and removes at any moment. */
export interface ClusterOptions {
  /** Cluster domains, lower-case wire form. */
  readonly domains: readonly Uint8Array[];
  /** How long their denials are stored: a missing Service may exist a second later. */
  readonly denial: TtlBounds;
}

/** Good answers that are kept despite a denial, for upstreams that start to deny many names they used to answer. */
export interface LastKnownGoodOptions {
  /** How long past its TTL an answer may be used instead of a denial, milliseconds. */
  readonly windowMs: number;
  /** Zones, lower-case wire form; cluster domains are always excluded. */
  readonly zones: readonly Uint8Array[];
}

/** Refresh of popular answers before they expire, as with CoreDNS's `prefetch`. */
export interface PrefetchOptions {
  /** Hits within `windowMs` of each other that make a name popular. */
  readonly amount: number;
  readonly windowMs: number;
  /** Percentage of the TTL that is left when a popular entry is refreshed. */
  readonly percentage: number;
}

/** One block's view of the cache. */
export interface BlockCache {
  /** Answers from the cache, or runs `next` once for all clients with the same question and stores the result. */
  handle(query: Query, next: Handler): Result;
}

/** The process's cache; all blocks share its memory, but not their entries. */
export interface Cache {
  /**
   * Opens a block's view, with the block's entries from before a reload. `zonesLabel` is the label `zones` of its
   * series.
   */
  open(block: BlockContext, zonesLabel: string, options: CacheOptions): BlockCache;
}
