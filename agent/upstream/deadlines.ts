/** One timer for everything that waits: moments are rounded up to ticks, so that waiting costs a set entry. */
import type { Clock, Timer } from '../base/clock.ts';

const TICK_MS = 20;

/** Something that waits for a moment; at most once at a time. */
export interface Expiring {
  /** Owned by `Deadlines`; starts as `NOT_WAITING`. */
  dueTick: number;
  onDeadline(): void;
}

export const NOT_WAITING = -1;

export class Deadlines {
  readonly #clock: Clock;
  readonly #byTick = new Map<number, Set<Expiring>>();
  /** By how much this process was late for the latest tick, milliseconds: what seems to be others' silence is ours. */
  lagMs = 0;
  #timer: Timer | undefined;
  #tickedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `entry.onDeadline` at `atMs` (clock milliseconds) or up to a tick later; replaces an earlier wish. */
  set(entry: Expiring, atMs: number): void {
    const tick = Math.ceil(atMs / TICK_MS);
    if (entry.dueTick === tick) return;
    this.clear(entry);
    entry.dueTick = tick;
    const waiting = this.#byTick.get(tick);
    if (waiting === undefined) this.#byTick.set(tick, new Set([entry]));
    else waiting.add(entry);
    this.#timer ??= this.#start();
  }

  clear(entry: Expiring): void {
    if (entry.dueTick === NOT_WAITING) return;
    const waiting = this.#byTick.get(entry.dueTick);
    waiting?.delete(entry);
    if (waiting?.size === 0) this.#byTick.delete(entry.dueTick);
    entry.dueTick = NOT_WAITING;
  }

  /** Forgets everything that waits. */
  close(): void {
    for (const waiting of this.#byTick.values()) {
      for (const entry of waiting) entry.dueTick = NOT_WAITING;
    }
    this.#byTick.clear();
    this.#stop();
  }

  #start(): Timer {
    this.#tickedMs = this.#clock.nowMs();
    this.lagMs = 0;
    return this.#clock.every(TICK_MS, () => {
      const nowMs = this.#clock.nowMs();
      this.lagMs = Math.max(0, nowMs - this.#tickedMs - TICK_MS);
      this.#tickedMs = nowMs;
      // Behind what has arrived meanwhile: a reply that lies in a buffer is not late.
      setImmediate(this.#run);
    });
  }

  readonly #run = (): void => {
    const nowTick = Math.floor(this.#clock.nowMs() / TICK_MS);
    const due = [...this.#byTick.keys()].filter((tick) => tick <= nowTick).sort((a, b) => a - b);
    for (const tick of due) {
      const entries = this.#byTick.get(tick) ?? [];
      this.#byTick.delete(tick);
      for (const entry of entries) {
        // Cleared or set anew by one that ran before it.
        if (entry.dueTick !== tick) continue;
        entry.dueTick = NOT_WAITING;
        entry.onDeadline();
      }
    }
    if (this.#byTick.size === 0) this.#stop();
  };

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
