/** How long to wait after failures, and how often to ask at all. */
import { type Clock, sleep } from '../base/clock.ts';

/** Wait after the first failure, about, milliseconds, and after many. The same as client-go's reflector. */
const FIRST_MS = 800;
const MAX_MS = 30_000;

/** Doubles with each failure. Half of each wait is random: a restarted API server is not asked by all nodes at once. */
export class Backoff {
  readonly #random: () => number;
  #nextMs = FIRST_MS;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next wait, milliseconds. */
  next(): number {
    const waitMs = this.#nextMs * (0.5 + this.#random());
    this.#nextMs = Math.min(2 * this.#nextMs, MAX_MS);
    return waitMs;
  }

  /** After a success. */
  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}

/** client-go's defaults. */
const DEFAULT_RATE = 5;
const DEFAULT_BURST = 10;

/** A token bucket for all requests of one client. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #burst: number;
  /** When the next request would be due if none had been early; never more than a burst in the past. */
  #dueMs = 0;

  constructor(clock: Clock, requestsPerSecond = DEFAULT_RATE, burst = DEFAULT_BURST) {
    this.#clock = clock;
    this.#intervalMs = 1_000 / requestsPerSecond;
    this.#burst = burst;
  }

  /** Resolves when the next request may begin. */
  async take(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const earliestMs = nowMs - (this.#burst - 1) * this.#intervalMs;
    this.#dueMs = Math.max(this.#dueMs, earliestMs);
    const waitMs = this.#dueMs - nowMs;
    this.#dueMs += this.#intervalMs;
    if (waitMs > 0) await sleep(this.#clock, waitMs);
  }
}
