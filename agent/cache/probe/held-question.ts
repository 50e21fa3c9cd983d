/** A client's question that waits for a probe before it is asked itself. */
import type { ClientShare, Holding } from '../../base/clients/memory-ledger.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { GAVE_WAY } from '../../base/errors.ts';
import type { Counter } from '../../query/services/metrics.ts';
import { WAITER_BYTES } from '../single-flight.ts';

/** All held questions of one client are interchangeable for the ledger. */
export const HELD = {};

/** Held from the start, until `release`, a timer or the ledger ends it. `onEnd` is called in each case. */
export class HeldQuestion implements Holding {
  readonly kind = 'query';
  readonly lane = HELD;
  heldBytes = WAITER_BYTES;
  isHeld = false;
  older: Holding | undefined;
  newer: Holding | undefined;
  /** Resolves when the question may go on, to whether its probe has an answer; rejects with GaveWayError. */
  readonly released: Promise<boolean>;
  readonly #share: ClientShare;
  readonly #timer: Timer;
  readonly #gaveWay: Counter;
  readonly #onEnd: (held: HeldQuestion) => void;
  readonly #resolve: (isLearned: boolean) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    share: ClientShare,
    gaveWay: Counter,
    clock: Clock,
    maxMs: number,
    onEnd: (held: HeldQuestion) => void,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.released = promise;
    this.#share = share;
    this.#gaveWay = gaveWay;
    this.#onEnd = onEnd;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = clock.after(maxMs, () => this.release(false));
  }

  /** `isLearned`: whether the probe has an answer. */
  release(isLearned: boolean): void {
    this.#timer.cancel();
    this.#share.remove(this);
    this.#onEnd(this);
    this.#resolve(isLearned);
  }

  giveWay(): void {
    this.#timer.cancel();
    this.#gaveWay.value++;
    this.#onEnd(this);
    this.#reject(GAVE_WAY);
  }
}
