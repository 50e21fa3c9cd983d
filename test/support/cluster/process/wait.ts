/** Waiting for real processes: always for a condition, always with a bound. */
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../../agent/base/clock.ts';

const POLL_MS = 25;

/** Runs `work` and returns the milliseconds it took. */
export async function timed<T>(work: () => Promise<T>): Promise<[result: T, elapsedMs: number]> {
  const startMs = systemClock.nowMs();
  const result = await work();
  return [result, systemClock.nowMs() - startMs];
}

/**
 * Polls `probe` until it returns something other than undefined or false, and returns that. Throws an Error naming
 * `what` (and the last result of `explain`) after `budgetMs`.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  budgetMs = 30_000,
  explain: () => string = () => '',
): Promise<T> {
  const endMs = systemClock.nowMs() + budgetMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (systemClock.nowMs() > endMs) {
      throw new Error(`gave up after ${budgetMs} ms waiting for ${what}\n${explain()}`.trimEnd());
    }
    // The base clock's timers do not keep the process alive; here they may be the only ones.
    await delay(POLL_MS);
  }
}

/** `promise`, or undefined where it takes longer than `budgetMs`. */
export async function within<T>(promise: Promise<T>, budgetMs: number): Promise<T | undefined> {
  const abort = new AbortController();
  const late = delay(budgetMs, undefined, { signal: abort.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
