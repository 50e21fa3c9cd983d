/** A clock that runs as samples are made: how many of them are made without a rest does not depend on the machine. */
import type { Timer } from '../../../agent/base/clock.ts';
import { FakeClock } from '../fake-clock.ts';

/** What a sample costs on a slow machine, milliseconds. */
const SAMPLE_MS = 0.004;
/** Samples of half a millisecond, and a text of two histograms that started within it. */
export const MAX_AT_ONCE = 125 + 64;

/** Each sample advances the clock; the class counts the most samples without a rest. */
export class SampleClock extends FakeClock {
  made = 0;
  mostAtOnce = 0;
  #atOnce = 0;

  override nowMs(): number {
    return super.nowMs() + this.made * SAMPLE_MS;
  }

  override after(delayMs: number, callback: () => void): Timer {
    return super.after(delayMs, () => {
      this.#atOnce = 0;
      callback();
    });
  }

  count(): void {
    this.made++;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
  }
}
