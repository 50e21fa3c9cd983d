/** Memory that the process uses for a client, and the client's waiting queries by age. */

/** Memory that the process uses for a client and can free. */
export interface Holding {
  readonly kind: 'query' | 'connection' | 'http';
  /** What a query waits for (a group of upstreams): within a client, the lane with the most queries gives way first. */
  readonly lane?: object | undefined;
  /** Its cost in bytes. Change it only through `ClientShare.resize`. */
  heldBytes: number;
  /** Owned by the ledger. For queries: neighbours by age in their lane; links cost less than an entry in a Set. */
  isHeld?: boolean;
  older?: Holding | undefined;
  newer?: Holding | undefined;
  /** Frees the memory. The ledger has already removed it from the client's share. Must not throw. */
  giveWay(): void;
}

/** Queries that wait for the same thing. */
export class Lane {
  oldest: Holding | undefined;
  newest: Holding | undefined;
  bytes = 0;

  add(query: Holding): void {
    query.older = this.newest;
    if (this.newest === undefined) this.oldest = query;
    else this.newest.newer = query;
    this.newest = query;
  }

  delete(query: Holding): void {
    const { older, newer } = query;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    query.older = undefined;
    query.newer = undefined;
  }
}
