/** Messages of `explain` on the admin socket. */

/** What a lookup costs, and why. No query is sent. */
export interface ExplainRequest {
  readonly command: 'explain';
  /** A client: an address, or a pod as `name` or `namespace/name`. Of a single word that is neither, a name. */
  readonly words: readonly string[];
  /** Namespace of the pod, where it is not known. */
  readonly namespace?: string | undefined;
  /** `address:port` of the listener; undefined for the first one. */
  readonly listener?: string | undefined;
}

/** A question that a lookup causes, and what would become of it now. */
export interface ExplainedQuestion {
  readonly name: string;
  readonly type: string;
  /**
   * `hit`, `nodata`, `denied`, `cut` (denied by a name above) and `failure` come from the cache; `stale`: the cache has it
   * for an outage only; `miss`: it has nothing; `refused`: no block has the name.
   */
  readonly verdict: 'hit' | 'nodata' | 'denied' | 'cut' | 'failure' | 'stale' | 'miss' | 'refused';
  /** Of what the cache has; negative after the TTL. */
  readonly ttlSeconds?: number | undefined;
  /** The name that is cut. */
  readonly cutAt?: string | undefined;
  /** Zone of the block, where the block begins, and its view. */
  readonly zone?: string | undefined;
  readonly place?: string | undefined;
  readonly view?: string | undefined;
  /** Plugins that may answer in place of cache and upstream, in the order of the chain. */
  readonly plugins: readonly string[];
  /** What `forward` asks if the cache cannot answer; empty if nothing. */
  readonly upstreams: readonly { readonly to: string; readonly state?: string | undefined }[];
}

/** Result of `explain`. */
export interface ExplainedLine {
  readonly line: 'explained';
  readonly client: {
    readonly address: string;
    readonly pod?: string | undefined;
    readonly isHostNetwork: boolean;
  };
  readonly search: {
    readonly domains: readonly string[];
    readonly ndots: number;
    /** `pod`: autopath's watch has the pod; `file`: autopath's list for all; `assumed`: what the kubelet writes by default. */
    readonly from: 'pod' | 'file' | 'assumed';
  };
  readonly name: string;
  readonly dots: number;
  /** In the order in which a client asks. */
  readonly questions: readonly ExplainedQuestion[];
  /** Whether the cache knows where the walk ends; else there may be fewer questions. */
  readonly isEndKnown: boolean;
  /** Whether autopath walks for the client, which then asks the first questions only. */
  readonly isWalkedHere: boolean;
}
