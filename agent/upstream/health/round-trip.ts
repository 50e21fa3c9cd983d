/** How long an upstream usually takes, learned from its replies. */

/** Patience with an upstream nobody has heard of. */
const INITIAL_MS = 1_000;
/** Resolvers answer from cache in a millisecond and recurse for hundreds: less patience would only double traffic. */
const FLOOR_MS = 200;
const CEILING_MS = 1_000;

/** Shorter than patience with a query: an upstream's return must not be waited out. */
const PROBE_INITIAL_MS = 500;

/** Below this a pause of ours or theirs would pass for an upstream's trouble. */
const HEDGE_FLOOR_MS = 40;
const HEDGE_INITIAL_MS = 200;
/** A step up for each of the slowest twentieth, nineteen steps down for the others: the 95th percentile. */
const STEP_UP = 1.19;
const STEP_DOWN = 0.99;

export class RoundTrip {
  readonly #ceilingMs: number;
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #slowMs = HEDGE_INITIAL_MS;

  /** `ceilingMs`: patience there is at most, whatever is learned. */
  constructor(ceilingMs = CEILING_MS) {
    this.#ceilingMs = Math.min(ceilingMs, CEILING_MS);
  }

  sample(durationMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = durationMs;
      this.#variationMs = durationMs / 2;
      this.#slowMs = durationMs * 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - durationMs) - this.#variationMs) / 4;
    this.#smoothedMs += (durationMs - this.#smoothedMs) / 8;
    const isSlow = durationMs > this.#slowMs;
    this.#slowMs = Math.max(0.01, this.#slowMs * (isSlow ? STEP_UP : STEP_DOWN));
  }

  /** After this long without a reply something is wrong (the estimator of RFC 6298 §2), milliseconds. */
  get timeoutMs(): number {
    if (this.#smoothedMs === undefined) return Math.min(INITIAL_MS, this.#ceilingMs);
    const usualMs = this.#smoothedMs + 4 * this.#variationMs;
    return Math.min(this.#ceilingMs, Math.max(FLOOR_MS, usualMs));
  }

  /** After this long without a reply a probe of an upstream in trouble has failed, milliseconds. */
  get probeMs(): number {
    return this.#smoothedMs === undefined ? PROBE_INITIAL_MS : this.timeoutMs;
  }

  /** After this long without a reply it is worth asking a second time, milliseconds: longer than 95 of 100 take. */
  get hedgeMs(): number {
    return Math.min(this.timeoutMs, Math.max(HEDGE_FLOOR_MS, this.#slowMs));
  }
}
