/** Collects garbage regularly. */
import type { Clock, Timer } from '../../agent/base/clock.ts';

const INTERVAL_MS = 10_000;

/**
 * V8 collects the little garbage of a sleeping program when the heap has grown by megabytes, and does not give pages back that
 * were full once. A collection every 10 s takes 10 ms of CPU and keeps the heap as it is after the start.
 * Does nothing where Node runs without `--expose-gc`: `nodens init` gives it that flag.
 */
export function collectRegularly(
  clock: Clock,
  collect: (() => unknown) | undefined = globalThis.gc,
): Timer | undefined {
  return collect && clock.every(INTERVAL_MS, () => void collect());
}
