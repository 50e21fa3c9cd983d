/** What a client makes the process hold, and its queries that wait for the same, by age. */

/** One thing that the process holds for a client and can give up. */
export interface Holding {
  readonly kind: 'query' | 'connection' | 'http';
  /** What a query waits for (a group of upstreams): within a client, the lane with the most queries gives way first. */
  readonly lane?: object | undefined;
  /** What it costs. Change it through `ClientShare.resize` only. */
  heldBytes: number;
  /** Owned by the ledger. Of queries: neighbours by age in their lane, which cost less than a place in a Set. */
  isHeld?: boolean;
  older?: Holding | undefined;
  newer?: Holding | undefined;
  /** Frees what is held. The ledger has taken it off the client's share before this call. Must not throw. */
  giveWay(): void;
}

/** Queries that wait for the same. */
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
