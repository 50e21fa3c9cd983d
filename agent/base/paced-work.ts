/**
 * Work that must not delay DNS: rendering metrics, answering HTTP, reading files. It runs in short slices, with the event
 * loop in between, and uses only a fixed share of the time, however much work there is. Clients take turns.
 */
import { type Clock, sleep } from './clock.ts';
import { RenewedMap } from './renewed-map.ts';

/** Work runs for this long without a rest, milliseconds. The last job before a rest may end later. */
const SLICE_MS = 0.5;
/** A rest is this many times as long as the work before it: 4 leaves four fifths of the time to DNS. */
const REST_FACTOR = 4;

/** Whether the running job may go on; when it ends early, the rest of its work is another job. */
export type HasTime = () => boolean;

interface Job {
  readonly run: (hasTime: HasTime) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A queue of slow work: one job a turn for each key. */
export class PacedWork {
  readonly #clock: Clock;
  readonly #restFactor: number;
  /** Waiting jobs by key, in the order of the keys' turns. */
  readonly #waiting = new RenewedMap<string, Job[]>();
  #isWorking = false;
  /** How long work may run before it rests. Work spends it, all other time refills it. */
  #budgetMs = SLICE_MS;
  #countedMs: number;

  /** Work has on average at most one part in `restFactor` + 1 of the time; by default a fifth. */
  constructor(clock: Clock, restFactor: number = REST_FACTOR) {
    this.#clock = clock;
    this.#restFactor = restFactor;
    this.#countedMs = clock.nowMs();
  }

  /**
   * Runs `job` when it is the turn of `key`, one job a turn. Resolves and rejects as the job does. A job must be short,
   * or end where its argument returns false, and must not wait for timers or sockets, because the other jobs wait for it.
   */
  run<T>(key: string, job: (hasTime: HasTime) => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting = { run: job, resolve: resolve as Job['resolve'], reject };
      const jobs = this.#waiting.get(key);
      if (jobs === undefined) this.#waiting.set(key, [waiting]);
      else jobs.push(waiting);
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Runs `steps`, each of them short, to their end: in each turn of `key` as many as there is time for. */
  async finish<Value>(key: string, steps: Iterator<void, Value>): Promise<Value> {
    for (;;) {
      const last = await this.run(key, (hasTime) => advance(steps, hasTime));
      if (last.done === true) return last.value;
    }
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    // Do not run jobs within the caller's own work.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      await this.#rest();
      await this.#perform(this.#next());
    }
    this.#isWorking = false;
  }

  async #rest(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const earnedMs = (nowMs - this.#countedMs) / this.#restFactor;
    this.#budgetMs = Math.min(SLICE_MS, this.#budgetMs + earnedMs);
    this.#countedMs = nowMs;
    if (this.#budgetMs > 0) return;
    await sleep(this.#clock, (SLICE_MS - this.#budgetMs) * this.#restFactor);
    this.#budgetMs = SLICE_MS;
    this.#countedMs = this.#clock.nowMs();
  }

  async #perform({ run, resolve, reject }: Job): Promise<void> {
    const startMs = this.#clock.nowMs();
    const endMs = startMs + this.#budgetMs;
    try {
      resolve(await run(() => this.#clock.nowMs() < endMs));
    } catch (error) {
      reject(error);
    }
    this.#countedMs = this.#clock.nowMs();
    this.#budgetMs -= this.#countedMs - startMs;
  }

  /** Takes one job of the next key; a key with more jobs moves to the end of the queue. */
  #next(): Job {
    const [key, jobs] = this.#waiting[Symbol.iterator]().next().value as [string, Job[]];
    const job = jobs.shift() as Job;
    this.#waiting.delete(key);
    if (jobs.length > 0) this.#waiting.set(key, jobs);
    return job;
  }
}

function advance<Value>(
  steps: Iterator<void, Value>,
  hasTime: HasTime,
): IteratorResult<void, Value> {
  let last = steps.next();
  while (last.done !== true && hasTime()) last = steps.next();
  return last;
}
