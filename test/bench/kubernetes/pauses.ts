/**
 * Loaded into an agent with `--import`: tells the bench, by IPC, for how long the agent's thread could not answer. Turns of
 * the event loop are as a timer sees them that wants to run every millisecond.
 */
import { openSync, readSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

/** A turn of the event loop, milliseconds. */
export interface Turn {
  /** From one timer to the next, but for the time that the timer waits anyway. */
  readonly lastedMs: number;
  /** For how long the thread ran: the rest it waited for a processor, or for nothing to do. */
  readonly ranMs: number;
}

export interface Pauses {
  readonly turns: readonly Turn[];
  readonly collectionsMs: readonly number[];
  /** For how long all was looked at, and the main thread was on a processor meanwhile, milliseconds. */
  readonly lastedMs: number;
  readonly ranMs: number;
}

const EVERY_MS = 1;
/** What is shorter is no pause. */
const LEAST_MS = 0.3;

if (process.send !== undefined) {
  const file = openSync('/proc/self/schedstat', 'r');
  const text = Buffer.alloc(128);
  /** Time on a processor since the thread began, milliseconds. */
  const ran = (): number =>
    Number.parseInt(text.toString('latin1', 0, readSync(file, text, 0, text.length, 0)), 10) / 1e6;
  let turns: Turn[] = [];
  let collectionsMs: number[] = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collectionsMs.push(duration);
  }).observe({ entryTypes: ['gc'] });
  let [lastMs, lastRanMs] = [performance.now(), ran()];
  let [toldMs, toldRanMs] = [lastMs, lastRanMs];
  setInterval(() => {
    const [nowMs, nowRanMs] = [performance.now(), ran()];
    const lastedMs = nowMs - lastMs - EVERY_MS;
    if (lastedMs > LEAST_MS) turns.push({ lastedMs, ranMs: nowRanMs - lastRanMs });
    [lastMs, lastRanMs] = [nowMs, nowRanMs];
  }, EVERY_MS).unref();
  process.on('message', () => {
    const [nowMs, nowRanMs] = [performance.now(), ran()];
    const [lastedMs, ranMs] = [nowMs - toldMs, nowRanMs - toldRanMs];
    process.send?.({ turns, collectionsMs, lastedMs, ranMs } satisfies Pauses);
    [toldMs, toldRanMs] = [nowMs, nowRanMs];
    [turns, collectionsMs] = [[], []];
  });
  process.channel?.unref();
}
