/** Collects garbage regularly. */
import type { Clock, Timer } from '../../agent/base/clock.ts';

const INTERVAL_MS = 60_000;

/**
 * A sleeping program makes so little garbage that V8 collects it every few minutes, when the heap has grown by 2 MB. The
 * collection takes 10 ms of CPU. Does nothing where Node runs without `--expose-gc`: `nodens init` gives it that flag.
 */
export function collectRegularly(
  clock: Clock,
  collect: (() => unknown) | undefined = globalThis.gc,
): Timer | undefined {
  return collect && clock.every(INTERVAL_MS, () => void collect());
}
