/**
 * Gives memory back that V8 keeps after a start or a burst (`native/process/shrink_heap.c`), while the agent has little to
 * do: objects are moved together for that, in one pause.
 */
import type { Clock, Timer } from '../base/clock.ts';

/** Exports of that file. */
export interface HeapAddon {
  /** Starts a garbage collection in steps, some 25 ms of CPU together. */
  shrinkHeap(): void;
}

/** Of this process, since its start. */
export interface Usage {
  /** CPU time of all threads. */
  cpuMs(): number;
  /** Memory that V8 has for its heap. */
  heapBytes(): number;
}

const INTERVAL_MS = 1_000;
/** At most this share of an interval on a processor is little to do: 15,000 answers a second from the cache. */
const QUIET_SHARE = 0.1;
/** Less is not worth a collection. */
const WORTH_BYTES = 2 * 2 ** 20;
const PAUSE_MS = 30_000;

/** Looks regularly whether it is worth it, until cancelled. */
export function shrinkRegularly(addon: HeapAddon, usage: Usage, clock: Clock): Timer {
  let cpuMs = usage.cpuMs();
  /** Of the heap after the last collection; 0 where new objects came during it. */
  let smallestBytes = 0;
  let isShrinking = false;
  let notBeforeMs = 0;
  return clock.every(INTERVAL_MS, () => {
    const usedMs = usage.cpuMs() - cpuMs;
    cpuMs += usedMs;
    const bytes = usage.heapBytes();
    const isQuiet = usedMs <= INTERVAL_MS * QUIET_SHARE;
    if (isShrinking) smallestBytes = isQuiet ? bytes : 0;
    smallestBytes = Math.min(smallestBytes, bytes);
    isShrinking = false;
    const nowMs = clock.nowMs();
    if (!isQuiet || nowMs < notBeforeMs || bytes < smallestBytes + WORTH_BYTES) return;
    isShrinking = true;
    notBeforeMs = nowMs + PAUSE_MS;
    addon.shrinkHeap();
  });
}
