/** Installs and withdraws interception. A later request overrules what an earlier one still had to do. */
import type { Interception } from '../plan/desired-rules.ts';
import type { Reconciler } from './reconciler.ts';

/** Orders `want` and `release` of the reconciler, so that the last request decides which rules exist. */
export class InterceptionController {
  readonly #reconciler: Pick<Reconciler, 'want' | 'release'>;
  readonly #dropsAtOnce: boolean;
  #requests = 0;
  #gone: Promise<unknown> = Promise.resolve();

  /** `dropsAtOnce`: the kernel drops the query rules without a pass. */
  constructor(reconciler: Pick<Reconciler, 'want' | 'release'>, dropsAtOnce: boolean) {
    this.#reconciler = reconciler;
    this.#dropsAtOnce = dropsAtOnce;
  }

  /** Resolves when no rule takes queries to the agent that was withdrawn last; never rejects. */
  get gone(): Promise<unknown> {
    return this.#gone;
  }

  /** Resolves after a pass with that goal; never rejects. */
  async install(): Promise<void> {
    this.#requests++;
    await this.#reconciler.want('full');
  }

  /** `rest`: what may stay. Resolves when everything else is gone, which may be later than `gone`; never rejects. */
  withdraw(rest: Interception = 'none'): Promise<unknown> {
    const request = ++this.#requests;
    const released = this.#reconciler.release();
    const done = released.then(async () => {
      if (request === this.#requests) await this.#reconciler.want(rest);
    });
    this.#gone = this.#dropsAtOnce ? released : done;
    return done;
  }
}
