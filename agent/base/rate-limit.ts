/** A token bucket: so many at once after a pause, and so many a second in the long run. */
import type { Clock } from './clock.ts';

/** Full at first. Reads the clock only when it is asked. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #refilledMs: number;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
    this.#refilledMs = clock.nowMs();
  }

  /** Whether one more may happen now; counts it if so. */
  take(): boolean {
    if (!this.hasLeft()) return false;
    this.#left--;
    return true;
  }

  /** Whether one more could happen now; counts nothing. */
  hasLeft(): boolean {
    const nowMs = this.#clock.nowMs();
    const earned = ((nowMs - this.#refilledMs) / 1_000) * this.#perSecond;
    this.#left = Math.min(this.#burst, this.#left + earned);
    this.#refilledMs = nowMs;
    return this.#left >= 1;
  }
}
