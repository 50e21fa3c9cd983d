/** Reports an input on which a target does not end: this thread watches while the other one runs. */
import { writeSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const MAX_INPUT_BYTES = 65_536;
/** Sufficient even on a busy machine. */
const HANG_MS = 60_000;
/** Number of inputs noted, then the length of the last one. */
const NUMBERS = 2;

export class Watchdog {
  readonly #numbers: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #worker: Worker;

  constructor() {
    const shared = new SharedArrayBuffer(4 * NUMBERS + MAX_INPUT_BYTES);
    this.#numbers = new Int32Array(shared, 0, NUMBERS);
    this.#bytes = new Uint8Array(shared, 4 * NUMBERS);
    this.#worker = new Worker(new URL(import.meta.url), { workerData: shared });
  }

  /** `input` is about to be run. */
  note(input: Uint8Array): void {
    this.#bytes.set(input);
    this.#numbers[1] = input.length;
    Atomics.add(this.#numbers, 0, 1);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Ends the process where no further input follows in time. */
function watch(shared: SharedArrayBuffer): void {
  const numbers = new Int32Array(shared, 0, NUMBERS);
  let before = 0;
  setInterval(() => {
    const count = Atomics.load(numbers, 0);
    if (count !== before || count === 0) {
      before = count;
      return;
    }
    const input = Buffer.from(shared.slice(4 * NUMBERS)).subarray(0, numbers[1]);
    writeSync(2, `it does not come to an end with this input:\n${input.toString('hex')}\n`);
    process.kill(process.pid, 'SIGKILL');
  }, HANG_MS);
}

if (!isMainThread) watch(workerData as SharedArrayBuffer);
