/** Keeps the node as the plan says: one pass at a time, on demand and every sync interval, never giving up. */

import type { Clock, Timer } from '../agent/base/clock.ts';
import { SETUP_ERROR_TYPES, type SetupErrorType } from '../agent/base/control.ts';
import { messageOf } from '../agent/base/errors.ts';
import type { Backend } from './backend.ts';
import { CommandError } from './exec.ts';
import { type Link, LinkError } from './link.ts';
import type { Log } from './log.ts';
import { type Interception, type RuleSet, rulesAt } from './plan.ts';

/** After a failed pass the next one does not wait for the whole interval. */
const RETRY_MS = 5_000;

export interface ReconcilerParts {
  /** Undefined where somebody else puts the addresses. */
  readonly link: Pick<Link, 'ensure'> | undefined;
  /** Undefined where somebody else installs the rules. */
  readonly firewall: Pick<Backend, 'apply'> | undefined;
  readonly rules: RuleSet;
  readonly clock: Clock;
  readonly log: Log;
  readonly syncIntervalMs: number;
  /** Called after a pass in which `interception` or `errors` changed. */
  readonly onChange: () => void;
}

export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #errors = new Map<SetupErrorType, number>(SETUP_ERROR_TYPES.map((type) => [type, 0]));
  #wanted: Interception = 'none';
  #applied: Interception | undefined;
  #passes: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #settled = false;
  #stopped = false;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** What the last successful pass left in the kernel, undefined before the first. */
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

  /** One more pass after those that run or wait; resolves to whether everything is in place. */
  pass(): Promise<boolean> {
    const pass = this.#passes.then(() => this.#pass());
    this.#passes = pass;
    return pass;
  }

  /** No pass by itself any more; `want` still works. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #pass(): Promise<boolean> {
    const { link, firewall, rules, onChange } = this.#parts;
    const before = this.#fingerprint();
    const goal = this.#wanted;
    // Addresses first: a client must find somebody at the address before its packets are led there. Both are tried.
    const linked = await this.#step('address', async () => link?.ensure());
    const filtered = await this.#step('rules', async () => firewall?.apply(rulesAt(rules, goal)));
    if (filtered) this.#applied = goal;
    const complete = linked && filtered;
    this.#settled ||= complete;
    this.#schedule(complete);
    if (this.#fingerprint() !== before) onChange();
    return complete;
  }

  async #step(what: string, work: () => Promise<boolean | undefined>): Promise<boolean> {
    try {
      const changed = (await work()) ?? false;
      if (changed && this.#settled && this.#wanted === this.#applied)
        this.#parts.log.warn('put back what somebody else had removed', { what });
      return true;
    } catch (error) {
      const type = errorType(error);
      this.#errors.set(type, (this.#errors.get(type) ?? 0) + 1);
      this.#parts.log.error('set-up failed', { what, errortype: type, error: messageOf(error) });
      return false;
    }
  }

  #schedule(complete: boolean): void {
    const { clock, syncIntervalMs } = this.#parts;
    this.#timer?.cancel();
    if (this.#stopped) return;
    const delayMs = complete ? syncIntervalMs : Math.min(RETRY_MS, syncIntervalMs);
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
