/** A client's query that waits for a walk. */
import type { ClientShare, Holding } from '../../base/clients/memory-ledger.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { FAILED, type Outcome } from './outcome.ts';

/** All followers of one client are interchangeable for the ledger. */
export const FOLLOWERS = {};
/** Memory of a follower: its query, promises and a timer; measured. */
export const FOLLOWER_BYTES = 4 * 1_024;

/** Held from the start, until `end`, a timer or the ledger ends it. */
export class Follower implements Holding {
  readonly kind = 'query';
  readonly lane = FOLLOWERS;
  heldBytes = FOLLOWER_BYTES;
  isHeld = false;
  older: Holding | undefined;
  newer: Holding | undefined;
  /** The outcome of the walk; as failed if it does not come in time, or if the client has no room to wait. */
  readonly outcome: Promise<Outcome>;
  readonly #share: ClientShare;
  readonly #timer: Timer;
  /** The followers of the same walk. */
  readonly #all: Set<Follower>;
  readonly #resolve: (outcome: Outcome) => void;

  constructor(share: ClientShare, clock: Clock, maxMs: number, all: Set<Follower>) {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#share = share;
    this.#all = all;
    this.#timer = clock.after(maxMs, () => this.end(FAILED));
    all.add(this);
    share.add(this);
  }

  /** The walk ended so. */
  end(outcome: Outcome): void {
    this.#share.remove(this);
    this.#leave(outcome);
  }

  giveWay(): void {
    this.#leave(FAILED);
  }

  #leave(outcome: Outcome): void {
    this.#timer.cancel();
    this.#all.delete(this);
    this.#resolve(outcome);
  }
}
