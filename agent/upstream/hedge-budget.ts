/** Limits the traffic that hedging adds to a group: a token bucket that the group's queries fill. */

/** Hedges per query: five in a hundred. */
const SHARE = 0.05;
/** Covers the burst of a connection that dies under load. */
const MAX_TOKENS = 50;

/** One for each group. Call `earn` once for each query and `take` before each hedge. */
export class HedgeBudget {
  /** None at first: without replies yet, no query can count as late. */
  #tokens = 0;

  /** One more query of the group. */
  earn(): void {
    this.#tokens = Math.min(MAX_TOKENS, this.#tokens + SHARE);
  }

  /** Takes a token if there is one. */
  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
