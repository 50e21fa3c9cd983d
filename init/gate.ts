/**
 * Lets the fallback in once kube-proxy's rules know the ClusterIP that it leads to: before, a query to the local IP
 * would be led into the void although an agent may listen there.
 */
import type { Log } from './log.ts';
import type { RuleSet } from './plan.ts';

export interface GateParts {
  readonly rules: RuleSet;
  /** Whether somebody's rules serve this ClusterIP. */
  readonly isServed: (clusterIp: string) => Promise<boolean>;
  /** Why there can be no fallback here at all; undefined where there can. */
  readonly obstacle: string | undefined;
  readonly log: Log;
}

export class FallbackGate {
  readonly #parts: GateParts;
  readonly #served = new Set<string>();
  #said: string | undefined;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Whether the next `rules` may give more than the last did. */
  get isPending(): boolean {
    const { rules, obstacle } = this.#parts;
    return (
      obstacle === undefined && rules.fallback.rewrites.some(({ to }) => !this.#served.has(to))
    );
  }

  /** Local IPs that have a fallback now. */
  get open(): string[] {
    return this.#parts.rules.fallback.rewrites
      .filter(({ to }) => this.#served.has(to))
      .map(({ from }) => from);
  }

  /** The plan's rules with the fallback as far as it leads somewhere. A ClusterIP once seen counts for good. */
  async rules(): Promise<RuleSet> {
    const { rules, isServed, obstacle } = this.#parts;
    const { rewrites, outward } = rules.fallback;
    if (obstacle === undefined)
      for (const { to } of rewrites)
        if (!this.#served.has(to) && (await isServed(to))) this.#served.add(to);
    this.#say();
    const led = rewrites.filter(({ to }) => this.#served.has(to));
    return { ...rules, fallback: { rewrites: led, outward } };
  }

  #say(): void {
    const { rules, obstacle, log } = this.#parts;
    const { rewrites } = rules.fallback;
    if (rewrites.length === 0 && obstacle === undefined) return;
    const waiting = rewrites.filter(({ to }) => !this.#served.has(to)).map(({ to }) => to);
    const reason = obstacle ?? `no rules of kube-proxy for ${waiting.join(', ')} yet`;
    const isWaiting = obstacle !== undefined || waiting.length > 0;
    const said = JSON.stringify([this.open, isWaiting && reason]);
    if (said === this.#said) return;
    this.#said = said;
    log.info('fallback', { localIps: this.open, ...(isWaiting ? { reason } : {}) });
  }
}
