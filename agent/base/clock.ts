/** The only code that reads time and sets timers: all other code is given a `Clock`. */

/** A running timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

/** Source of time and timers. Tests pass a clock whose time they advance themselves. */
export interface Clock {
  /** Monotonic milliseconds (fractional) since an arbitrary start; never decreases. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch; may jump. For snapshots and log lines only. */
  wallMs(): number;
  /** Runs `callback` once after `delayMs`. A pending timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` every `intervalMs` until cancelled. Does not keep the process alive. */
  every(intervalMs: number, callback: () => void): Timer;
}

function timerOf(handle: NodeJS.Timeout): Timer {
  handle.unref();
  return { cancel: () => clearTimeout(handle) };
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => timerOf(setTimeout(callback, delayMs)),
  every: (intervalMs, callback) => timerOf(setInterval(callback, intervalMs)),
};

/** Resolves after `delayMs` of `clock`'s time. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Maximum delay of a timer in Node.js. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Keeps the process running until the returned timer is cancelled. */
export function keepAlive(): Timer {
  const handle = setInterval(() => {}, MAX_DELAY_MS);
  return { cancel: () => clearInterval(handle) };
}
