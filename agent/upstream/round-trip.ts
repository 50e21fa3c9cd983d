/** How long an upstream usually takes, learned from its replies (the estimator of RFC 6298 §2). */

/** Patience with an upstream nobody has heard of. */
const INITIAL_MS = 1_000;
/** Resolvers answer from cache in a millisecond and recurse for hundreds: less patience would only double traffic. */
const FLOOR_MS = 200;
const CEILING_MS = 1_000;

export class RoundTrip {
  #smoothedMs: number | undefined;
  #variationMs = 0;

  sample(durationMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = durationMs;
      this.#variationMs = durationMs / 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - durationMs) - this.#variationMs) / 4;
    this.#smoothedMs += (durationMs - this.#smoothedMs) / 8;
  }

  /** After this long without a reply it is time to try something else as well, milliseconds. */
  get patienceMs(): number {
    if (this.#smoothedMs === undefined) return INITIAL_MS;
    const usualMs = this.#smoothedMs + 4 * this.#variationMs;
    return Math.min(CEILING_MS, Math.max(FLOOR_MS, usualMs));
  }
}
