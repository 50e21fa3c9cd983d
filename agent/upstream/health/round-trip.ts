/** How long an upstream usually takes, learned from its replies. */

/** Timeout for an upstream without any reply yet. */
const INITIAL_MS = 1_000;
/**
 * Resolvers answer from cache in a millisecond and recurse for hundreds: a shorter timeout would only double traffic.
 */
const FLOOR_MS = 200;
const CEILING_MS = 1_000;

/** Shorter than a query's timeout, to notice a recovered upstream soon. */
const PROBE_INITIAL_MS = 500;

/** Below this, a pause of either process would look like an upstream's failure. */
const HEDGE_FLOOR_MS = 40;
const HEDGE_INITIAL_MS = 200;
/** A step up for each of the slowest twentieth, nineteen steps down for the others: the 95th percentile. */
const STEP_UP = 1.19;
const STEP_DOWN = 0.99;

/** As in the alert NodensUpstreamSlow and in `nodens doctor`. */
const SLOW_MS = 100;
/** Replies before an upstream may count as slow: the first one is often an answer that it had to look for. */
const SLOW_AFTER = 8;

/** One for each upstream and transport. */
export class RoundTrip {
  readonly #ceilingMs: number;
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #replies = 0;
  #slowMs = HEDGE_INITIAL_MS;

  /** `ceilingMs`: maximum timeout, whatever is learned. */
  constructor(ceilingMs = CEILING_MS) {
    this.#ceilingMs = Math.min(ceilingMs, CEILING_MS);
  }

  /** A reply came `durationMs` after its query was written. */
  sample(durationMs: number): void {
    this.#replies++;
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

  /** Whether replies usually take 100 ms or longer. */
  get isSlow(): boolean {
    return this.#replies >= SLOW_AFTER && (this.#smoothedMs ?? 0) >= SLOW_MS;
  }

  /** Timeout of a reply (the estimator of RFC 6298 §2), milliseconds. */
  get timeoutMs(): number {
    if (this.#smoothedMs === undefined) return Math.min(INITIAL_MS, this.#ceilingMs);
    const usualMs = this.#smoothedMs + 4 * this.#variationMs;
    return Math.min(this.#ceilingMs, Math.max(FLOOR_MS, usualMs));
  }

  /** Timeout of a probe to an upstream in trouble, milliseconds. */
  get probeMs(): number {
    return this.#smoothedMs === undefined ? PROBE_INITIAL_MS : this.timeoutMs;
  }

  /** When to send a hedge, milliseconds: later than 95 of 100 replies take. */
  get hedgeMs(): number {
    return Math.min(this.timeoutMs, Math.max(HEDGE_FLOOR_MS, this.#slowMs));
  }
}
