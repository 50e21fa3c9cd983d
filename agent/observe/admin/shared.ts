/** Shares one result between concurrent requests. */
import type { Clock } from '../../base/clock.ts';

/**
 * All calls while `make` runs, and for `freshMs` after it has finished, share one call of `make`. An error is passed to
 * the callers that wait for it; the next call tries again.
 */
export function shared<T>(make: () => Promise<T>, clock: Clock, freshMs: number): () => Promise<T> {
  let current: Promise<T> | undefined;
  const forget = (): void => {
    current = undefined;
  };
  return () => {
    if (current === undefined) {
      current = make();
      current.then(() => clock.after(freshMs, forget), forget);
    }
    return current;
  };
}
