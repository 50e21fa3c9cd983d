/** A clock that only tests advance. */
import type { Clock, Timer } from '../../agent/base/clock.ts';

interface Pending {
  dueMs: number;
  readonly order: number;
  readonly intervalMs: number | undefined;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(startMs = 1_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#add(delayMs, undefined, callback);
  }

  every(intervalMs: number, callback: () => void): Timer {
    return this.#add(intervalMs, intervalMs, callback);
  }

  /** Number of pending timers: a leak check for tests. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /**
   * Advances time by `deltaMs`, running due timers in order; promise callbacks settle between timers, so code that awaits
   * runs as in real time.
   */
  async advance(deltaMs: number): Promise<void> {
    const targetMs = this.#nowMs + deltaMs;
    await settle();
    for (let next = this.#nextDue(targetMs); next !== undefined; next = this.#nextDue(targetMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      if (next.intervalMs === undefined) this.#pending.delete(next);
      else next.dueMs += Math.max(next.intervalMs, 1);
      next.callback();
      await settle();
    }
    this.#nowMs = targetMs;
    await settle();
  }

  #add(delayMs: number, intervalMs: number | undefined, callback: () => void): Timer {
    const dueMs = this.#nowMs + Math.max(delayMs, 0);
    const pending: Pending = { dueMs, order: this.#order++, intervalMs, callback };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  #nextDue(limitMs: number): Pending | undefined {
    let best: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.dueMs > limitMs) continue;
      if (best === undefined || pending.dueMs < best.dueMs) best = pending;
      else if (pending.dueMs === best.dueMs && pending.order < best.order) best = pending;
    }
    return best;
  }
}

/** Turns of the event loop: what the agent does in parts, such as many deadlines of one tick, it does one part in each. */
const TURNS = 4;

/** Runs all promise callbacks that are ready, and those that they make ready. */
export async function settle(): Promise<void> {
  for (let left = TURNS; left > 0; left--) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
