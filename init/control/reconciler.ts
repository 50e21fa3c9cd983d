/** Keeps addresses and rules on the node as the plan says: one pass at a time, on demand and in every sync interval. */

import type { Clock, Timer } from '../../agent/base/clock.ts';
import { SETUP_ERROR_TYPES, type SetupErrorType } from '../../agent/base/control.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Firewall } from '../firewall/select.ts';
import type { Log } from '../log.ts';
import { CommandError } from '../node/exec.ts';
import { type Link, LinkError } from '../node/link.ts';
import {
  desiredRules,
  fingerprintOf,
  type Interception,
  type RuleState,
} from '../plan/desired-rules.ts';
import type { Plan, RuleSet } from '../plan/plan.ts';

/** After a failed pass the next one does not wait for the whole interval. */
const RETRY_MS = 5_000;

/** What `Reconciler` needs of init. */
export interface ReconcilerParts {
  /** Undefined where another program adds the addresses. */
  readonly link: Pick<Link, 'ensure'> | undefined;
  /** Undefined where init installs no rules. */
  readonly firewall: Pick<Firewall, 'apply' | 'release' | 'isOwner'> | undefined;
  readonly plan: Plan;
  /** Reads from the node what decides which rules exist, besides interception. */
  readonly look: () => Promise<Omit<RuleState, 'interception'>>;
  /** Whether a later `look` may find more. */
  readonly isPending?: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** From a complete pass to the next, where nothing is pending; otherwise at most 5 s. */
  readonly syncIntervalMs: number;
  /** Called after a pass in which `interception` or `errors` changed. */
  readonly onChange: () => void;
}

/**
 * Changes the node: each pass is idempotent, and no two run at the same time. A failure is logged and counted, and
 * never thrown.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #errors = new Map<SetupErrorType, number>(SETUP_ERROR_TYPES.map((type) => [type, 0]));
  #wanted: Interception = 'none';
  #applied: Interception | undefined;
  /** `#releases` when the pass for `#applied` ran. */
  #appliedAfterReleases = 0;
  /** Whether the kernel has dropped query rules since. */
  #isLost = false;
  #passes: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #lastRules = '';
  #settled = false;
  /** Counts `release`: a pass that began before one has not brought interception back. */
  #releases = 0;
  #stopped = false;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** What the last successful pass left in the kernel, as far as it is still there; undefined before the first. */
  get interception(): Interception | undefined {
    return this.#applied;
  }

  /** Failures since the start, by kind. */
  get errors(): Readonly<Record<SetupErrorType, number>> {
    return Object.fromEntries(this.#errors) as Record<SetupErrorType, number>;
  }

  /** Resolves after a pass that had this as its goal to whether everything is in place; never rejects. */
  want(interception: Interception): Promise<boolean> {
    this.#wanted = interception;
    return this.pass();
  }

  /**
   * Removes query rules at once, without waiting for a pass that runs. Resolves when those are gone that the backend can
   * remove so; a pass with that goal has to follow for the others. Never rejects.
   */
  async release(): Promise<void> {
    this.#wanted = 'none';
    const release = ++this.#releases;
    const { firewall, onChange } = this.#parts;
    await firewall?.release();
    // A later request may have installed them again.
    if (
      firewall?.isOwner !== true ||
      this.#appliedAfterReleases >= release ||
      this.#applied !== 'full'
    )
      return;
    this.#applied = 'none';
    onChange();
  }

  /** The kernel has dropped the query rules. Resolves after a pass that installs what is wanted; never rejects. */
  async lost(): Promise<void> {
    this.#isLost = true;
    await this.pass();
  }

  /** One more pass after those that run or wait; resolves to whether everything is in place. */
  pass(): Promise<boolean> {
    const pass = this.#passes.then(() => this.#pass());
    this.#passes = pass;
    return pass;
  }

  /** Ends the passes of the sync interval; `want` still works. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #pass(): Promise<boolean> {
    const { link, firewall, plan, look, onChange } = this.#parts;
    const before = this.#fingerprint();
    let [goal, releases] = [this.#wanted, this.#releases];
    // Addresses first: rules must not send packets to an address that the node does not have. Both are tried.
    const linked = await this.#step('address', async () => link?.ensure());
    const filtered = await this.#step('rules', async () => {
      const found = await look();
      // Rules that were released meanwhile stay away.
      [goal, releases] = [this.#wanted, this.#releases];
      const rules = desiredRules(plan, { ...found, interception: goal });
      const isFirstInstall = this.#isNews(rules) || this.#isLost;
      const changed = await firewall?.apply(rules);
      // After a release the firewall may not have installed all of it: the next pass does.
      if (releases !== this.#releases) this.#lastRules = '';
      return changed === true && !isFirstInstall;
    });
    if (filtered) this.#isLost = false;
    if (filtered && releases === this.#releases) {
      this.#applied = goal;
      this.#appliedAfterReleases = releases;
    } else if (this.#isLost && this.#applied === 'full') {
      this.#applied = 'none';
    }
    const complete = linked && filtered;
    this.#settled ||= complete;
    this.#schedule(complete);
    if (this.#fingerprint() !== before) onChange();
    return complete;
  }

  async #step(what: string, work: () => Promise<boolean | undefined>): Promise<boolean> {
    try {
      const changed = (await work()) ?? false;
      if (changed && this.#settled)
        this.#parts.log.warn('restored what another program had removed', {
          event: 'rules-restored',
          what,
        });
      return true;
    } catch (error) {
      const type = errorType(error);
      this.#errors.set(type, (this.#errors.get(type) ?? 0) + 1);
      this.#parts.log.error('set-up failed', {
        ...{ event: 'set-up-failed', what, errortype: type },
        error: messageOf(error),
      });
      return false;
    }
  }

  /** Whether these are other rules than at the last pass: then init installs them, and does not restore them. */
  #isNews(rules: RuleSet): boolean {
    const text = fingerprintOf(rules);
    const isNews = text !== this.#lastRules;
    this.#lastRules = text;
    return isNews;
  }

  #schedule(complete: boolean): void {
    const { clock, syncIntervalMs } = this.#parts;
    this.#timer?.cancel();
    if (this.#stopped) return;
    const isDone = complete && this.#parts.isPending?.() !== true;
    const delayMs = isDone ? syncIntervalMs : Math.min(RETRY_MS, syncIntervalMs);
    this.#timer = clock.after(delayMs, () => void this.pass());
  }

  #fingerprint(): string {
    return JSON.stringify([this.#applied, this.errors]);
  }
}

function errorType(error: unknown): SetupErrorType {
  if (error instanceof LinkError) return error.type;
  return error instanceof CommandError && error.lockHeld ? 'iptables_lock' : 'iptables';
}
