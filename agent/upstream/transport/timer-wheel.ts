/** One timer for everything that waits: times are rounded up to ticks, so that a wait costs two links. */
import type { Clock, Timer } from '../../base/clock.ts';
import { RenewedMap } from '../../base/renewed-map.ts';

const TICK_MS = 20;
/**
 * Deadlines handled in one turn of the event loop, about a third of a millisecond: a client whose thousands of queries end in
 * the same tick must not delay the other clients' answers.
 */
const DEADLINES_PER_TURN = 8;

/** Waits for one deadline at a time. */
export interface Expiring {
  /** Owned by `TimerWheel`; starts as `NOT_WAITING`. */
  dueTick: number;
  /** Owned by `TimerWheel`: neighbours with the same tick; links cost less than an entry in a Set. */
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  onDeadline(): void;
}

/** Value of `dueTick` while an entry has no deadline. */
export const NOT_WAITING = -1;

interface Due {
  readonly entry: Expiring;
  readonly tick: number;
}

/** One for the process. Its timer runs only while an entry waits. `onDeadline` may set or clear any entry. */
export class TimerWheel {
  readonly #clock: Clock;
  /** The first of each tick. */
  readonly #byTick = new RenewedMap<number, Expiring>();
  /**
   * How late this process was for the latest tick, milliseconds: that much of a peer's apparent silence is the agent's
   * own.
   */
  lagMs = 0;
  #timer: Timer | undefined;
  #tickedMs = 0;
  /** Entries whose tick has passed, oldest first; those before `#next` are done. */
  #due: Due[] = [];
  #next = 0;
  #isArmed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `entry.onDeadline` at `atMs` (clock milliseconds) or up to a tick later; replaces an earlier deadline. */
  set(entry: Expiring, atMs: number): void {
    const tick = Math.ceil(atMs / TICK_MS);
    if (entry.dueTick === tick) return;
    this.clear(entry);
    entry.dueTick = tick;
    const first = this.#byTick.get(tick);
    if (first !== undefined) first.dueBefore = entry;
    entry.dueAfter = first;
    this.#byTick.set(tick, entry);
    this.#timer ??= this.#start();
  }

  /** Removes the deadline of `entry`, if it has one. */
  clear(entry: Expiring): void {
    if (entry.dueTick === NOT_WAITING) return;
    const { dueBefore, dueAfter, dueTick } = entry;
    if (dueAfter !== undefined) dueAfter.dueBefore = dueBefore;
    if (dueBefore !== undefined) dueBefore.dueAfter = dueAfter;
    else if (dueAfter !== undefined) this.#byTick.set(dueTick, dueAfter);
    else if (this.#byTick.get(dueTick) === entry) this.#byTick.delete(dueTick);
    forget(entry);
  }

  /** Removes everything that waits. */
  close(): void {
    for (const tick of this.#byTick.keys()) {
      for (const entry of this.#take(tick)) entry.dueTick = NOT_WAITING;
    }
    for (const { entry, tick } of this.#due) if (entry.dueTick === tick) forget(entry);
    this.#due = [];
    this.#next = 0;
    this.#stop();
  }

  #start(): Timer {
    this.#tickedMs = this.#clock.nowMs();
    this.lagMs = 0;
    return this.#clock.every(TICK_MS, () => {
      const nowMs = this.#clock.nowMs();
      this.lagMs = Math.max(0, nowMs - this.#tickedMs - TICK_MS);
      this.#tickedMs = nowMs;
      // After the data that has arrived meanwhile: a reply in the receive buffer is not late.
      this.#arm();
    });
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#isArmed = false;
    this.#collect();
    let left = DEADLINES_PER_TURN;
    while (this.#next < this.#due.length && left > 0) {
      const { entry, tick } = this.#due[this.#next++] as Due;
      // Cleared or set again in the meantime.
      if (entry.dueTick !== tick) continue;
      left--;
      // Cleared, and set again to this tick, it is in the list of the tick as well.
      this.clear(entry);
      entry.onDeadline();
    }
    if (this.#next < this.#due.length) {
      this.#arm();
      return;
    }
    this.#due = [];
    this.#next = 0;
    if (this.#byTick.size === 0) this.#stop();
  };

  /** Adds the entries of all ticks that have passed to `#due`. */
  #collect(): void {
    const nowTick = Math.floor(this.#clock.nowMs() / TICK_MS);
    const ticks = [...this.#byTick.keys()].filter((tick) => tick <= nowTick).sort((a, b) => a - b);
    for (const tick of ticks) for (const entry of this.#take(tick)) this.#due.push({ entry, tick });
  }

  /** Removes and returns the entries of `tick`. */
  #take(tick: number): Expiring[] {
    const entries: Expiring[] = [];
    let next = this.#byTick.get(tick);
    this.#byTick.delete(tick);
    while (next !== undefined) {
      const entry = next;
      next = entry.dueAfter;
      forget(entry);
      entry.dueTick = tick;
      entries.push(entry);
    }
    // The list starts with the newest.
    return entries.reverse();
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

function forget(entry: Expiring): void {
  entry.dueTick = NOT_WAITING;
  entry.dueBefore = undefined;
  entry.dueAfter = undefined;
}
