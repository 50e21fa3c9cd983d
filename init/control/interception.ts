/** Gives interception and takes it away; what is decided later overrules what an earlier decision still had to do. */
import type { Interception } from '../plan/desired-rules.ts';
import type { Reconciler } from './reconciler.ts';

export class InterceptionSwitch {
  readonly #reconciler: Pick<Reconciler, 'want' | 'release'>;
  readonly #dropsAtOnce: boolean;
  #decisions = 0;
  #gone: Promise<unknown> = Promise.resolve();

  /** `dropsAtOnce`: the kernel drops the query rules at a word, and no pass is needed for that. */
  constructor(reconciler: Pick<Reconciler, 'want' | 'release'>, dropsAtOnce: boolean) {
    this.#reconciler = reconciler;
    this.#dropsAtOnce = dropsAtOnce;
  }

  /** Resolves when nothing leads to the agent any more that was last taken away; never rejects. */
  get gone(): Promise<unknown> {
    return this.#gone;
  }

  /** Resolves after a pass with that goal; never rejects. */
  async on(): Promise<void> {
    this.#decisions++;
    await this.#reconciler.want('full');
  }

  /** `rest`: what may stay. Resolves when everything else is gone, which may be later than `gone`; never rejects. */
  off(rest: Interception = 'none'): Promise<unknown> {
    const decision = ++this.#decisions;
    const released = this.#reconciler.release();
    const done = released.then(async () => {
      if (decision === this.#decisions) await this.#reconciler.want(rest);
    });
    this.#gone = this.#dropsAtOnce ? released : done;
    return done;
  }
}
