/** When connections may be dialled: after failures in a row there are pauses. */
import type { Clock } from '../../../base/clock.ts';
import type { Failure } from '../failure.ts';
import { isLack } from '../failure.ts';

/** Failed dials in a row before the next has to wait: a Service with one dead endpoint is worth another try. */
const FREE_REDIALS = 2;
/**
 * So many of them may be refused before that counts: a refusal comes at once. Where one endpoint of two is dead, chance
 * brings a pause to one connection of 512.
 */
const FREE_REFUSALS = 7;
const REDIAL_MS = 25;
const MAX_REDIAL_MS = 1_000;

export class Dials {
  /** What went wrong with the one that failed last. */
  lastFailure: Failure = { phase: 'connect', errno: 'ECONNREFUSED' };
  readonly #clock: Clock;
  /** Failed dials since one worked, and refusals that are still free. */
  #failed = 0;
  #freeRefusals = FREE_REFUSALS;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  mayDial(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  worked(): void {
    this.#failed = 0;
    this.#freeRefusals = FREE_REFUSALS;
    this.#nextMs = Number.NEGATIVE_INFINITY;
  }

  failed(failure: Failure): void {
    this.lastFailure = failure;
    if (isLack(failure)) {
      // Nothing the upstream could help: only not at once again.
      this.#nextMs = this.#clock.nowMs() + REDIAL_MS;
      return;
    }
    if (failure.errno === 'ECONNREFUSED' && this.#freeRefusals-- > 0) return;
    this.#failed++;
    const extra = this.#failed - FREE_REDIALS;
    if (extra < 0) return;
    const pauseMs = Math.min(MAX_REDIAL_MS, REDIAL_MS * 2 ** extra);
    this.#nextMs = this.#clock.nowMs() + pauseMs;
  }
}
