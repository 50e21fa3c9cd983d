/** One result for all who ask within a moment. */
import type { Clock } from '../../base/clock.ts';

/**
 * Calls `make` once for those who ask while it works, and for `freshMs` after it is done. An error is given to those who
 * wait for it; who asks next has another try.
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
