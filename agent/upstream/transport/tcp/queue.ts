/** Queries that wait for a connection with room for them. */
import type { Connection, PendingQuery } from '../pending-query.ts';

/** Acts as the connection of its queries, so that they can be abandoned. */
export class Queue implements Connection {
  readonly #onLate: (pending: PendingQuery) => void;
  /** The queries have not been sent. */
  readonly phase = 'connect';
  readonly isProven = false;
  readonly #pendingQueries = new Set<PendingQuery>();

  /** `onLate`: a query has waited longer than most answered queries take. */
  constructor(onLate: (pending: PendingQuery) => void) {
    this.#onLate = onLate;
  }

  get isEmpty(): boolean {
    return this.#pendingQueries.size === 0;
  }

  /** Starts the query's time: `sentMs` is set again when a connection takes it. */
  add(pending: PendingQuery, nowMs: number): void {
    pending.sentMs = nowMs;
    pending.connection = this;
    this.#pendingQueries.add(pending);
  }

  /** The query that has waited longest, until it is removed. */
  get first(): PendingQuery | undefined {
    const [first] = this.#pendingQueries;
    return first;
  }

  abandon(pending: PendingQuery): void {
    this.#pendingQueries.delete(pending);
  }

  late(pending: PendingQuery): void {
    this.#onLate(pending);
  }

  /** Removes and returns all queries, the oldest first. */
  takeAll(): PendingQuery[] {
    const all = [...this.#pendingQueries];
    this.#pendingQueries.clear();
    for (const pending of all) pending.connection = undefined;
    return all;
  }
}
