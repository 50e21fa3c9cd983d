/** A rate for each client: what one client causes must not use up what others need. */
import type { Clock } from '../clock.ts';
import { RateLimit } from '../rate-limit.ts';

/** Clients that are remembered; the one that was seen longest ago is forgotten, and then has a full bucket again. */
const MAX_CLIENTS = 1_024;

/** Token buckets by `clientKey`, all of one size. */
export class ClientRates {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  /** The client that was seen last is the last one. */
  readonly #limits = new Map<string, RateLimit>();

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Whether the client may do one more now; counts it if so. */
  take(key: string): boolean {
    return this.#limitOf(key).take();
  }

  /** Whether the client could do one more now; counts nothing. */
  hasLeft(key: string): boolean {
    return this.#limits.get(key)?.hasLeft() ?? true;
  }

  #limitOf(key: string): RateLimit {
    const known = this.#limits.get(key);
    if (known !== undefined) this.#limits.delete(key);
    const limit = known ?? new RateLimit(this.#clock, this.#perSecond, this.#burst);
    this.#limits.set(key, limit);
    if (this.#limits.size > MAX_CLIENTS)
      for (const oldest of this.#limits.keys()) {
        this.#limits.delete(oldest);
        break;
      }
    return limit;
  }
}
