/** HTTP endpoints and the admin socket of an agent that starts. */
import type { Clock, Timer } from '../base/clock.ts';

/**
 * To open them takes the agent's thread 40 ms. The first queries come before that, but the kubelet and operators may ask an
 * agent that still waits for upstreams or addresses.
 */
const WAIT_MS = 100;

/** Opens them once, a moment after `openSoon`. */
export class FirstPages {
  /** Resolves when each has been tried, or with `cancel`. */
  readonly opened: Promise<void>;
  readonly #clock: Clock;
  readonly #openAll: () => Promise<void>;
  readonly #settle: (opened: Promise<void>) => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, openAll: () => Promise<void>) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#clock = clock;
    this.#openAll = openAll;
    this.#settle = resolve;
    this.opened = promise;
  }

  openSoon(): void {
    this.#timer = this.#clock.after(WAIT_MS, () => this.#settle(this.#openAll()));
  }

  /** Opens none, if none is open yet. */
  cancel(): void {
    this.#timer?.cancel();
    this.#settle(Promise.resolve());
  }
}
