/** Decides when connections may be dialled: after several failures in a row there are pauses. */
import type { Clock } from '../../../base/clock.ts';
import type { Failure } from '../failure.ts';
import { isLack } from '../failure.ts';

/** Failed dials in a row without a pause: behind a Service with one dead endpoint, another dial may succeed. */
const FREE_REDIALS = 2;
/**
 * Additional refused dials without a pause, because a refusal comes at once. With one of two endpoints dead, nine
 * failures in a row have p = 1/512.
 */
const FREE_REFUSALS = 7;
const REDIAL_MS = 25;
const MAX_REDIAL_MS = 1_000;

/** One for each pool. Pauses grow from 25 ms to 1 s; a successful dial ends them. */
export class Dials {
  /** Failure of the latest failed dial. */
  lastFailure: Failure = { phase: 'connect', errno: 'ECONNREFUSED' };
  readonly #clock: Clock;
  /** Failed dials since the last success, and refusals that are still free. */
  #failed = 0;
  #freeRefusals = FREE_REFUSALS;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  mayDial(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  /** A dial succeeded: the next failures are without a pause again. */
  worked(): void {
    this.#failed = 0;
    this.#freeRefusals = FREE_REFUSALS;
    this.#nextMs = Number.NEGATIVE_INFINITY;
  }

  /** A dial failed. A lack of a local resource only causes a short pause. */
  failed(failure: Failure): void {
    this.lastFailure = failure;
    if (isLack(failure)) {
      // Not the upstream's fault: only wait before the next dial.
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
