/**
 * Loaded into an agent with `--import`: tells the bench, by IPC, for how long the agent's thread could not answer. Turns of
 * the event loop are as a timer sees them that wants to run every millisecond.
 */
import { PerformanceObserver } from 'node:perf_hooks';

export interface Pauses {
  readonly turnsMs: readonly number[];
  readonly collectionsMs: readonly number[];
}

const EVERY_MS = 1;
/** What is shorter is no pause. */
const LEAST_MS = 0.3;

if (process.send !== undefined) {
  let turnsMs: number[] = [];
  let collectionsMs: number[] = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collectionsMs.push(duration);
  }).observe({ entryTypes: ['gc'] });
  let lastMs = performance.now();
  setInterval(() => {
    const nowMs = performance.now();
    const lateMs = nowMs - lastMs - EVERY_MS;
    if (lateMs > LEAST_MS) turnsMs.push(lateMs);
    lastMs = nowMs;
  }, EVERY_MS).unref();
  process.on('message', () => {
    process.send?.({ turnsMs, collectionsMs } satisfies Pauses);
    [turnsMs, collectionsMs] = [[], []];
  });
  process.channel?.unref();
}
