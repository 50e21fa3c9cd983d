/**
 * Lets the fallback in once kube-proxy's rules know the ClusterIP that it leads to: before, a query to the local IP
 * would be led into the void although an agent may listen there. As long as they do not, kube-dns's endpoints are the
 * way, where any are known.
 */
import type { EndpointFollower } from '../endpoints/follow.ts';
import { endpointTexts, isNone, ofFamily } from '../endpoints/set.ts';
import type { Log } from '../log.ts';
import type { EndpointDnat } from '../plan/fallback.ts';
import type { RuleSet } from '../plan/plan.ts';

export interface GateParts {
  readonly rules: RuleSet;
  /** Whether somebody's rules serve this ClusterIP. */
  readonly isServed: (clusterIp: string) => Promise<boolean>;
  /** Why kube-proxy's rules are not waited for; undefined where they are. */
  readonly obstacle: string | undefined;
  /** Undefined where nothing shall lead to endpoints. */
  readonly endpoints: Pick<EndpointFollower, 'known' | 'reason' | 'want'> | undefined;
  readonly log: Log;
}

export class FallbackGate {
  readonly #parts: GateParts;
  readonly #served = new Set<string>();
  #direct: readonly EndpointDnat[] = [];
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
    const { rewrites } = this.#parts.rules.fallback;
    return [...rewrites.filter(({ to }) => this.#served.has(to)), ...this.#direct].map(
      ({ from }) => from,
    );
  }

  /** The plan's rules with the fallback as far as it leads somewhere. A ClusterIP once seen counts for good. */
  async rules(): Promise<RuleSet> {
    const { rules, isServed, obstacle } = this.#parts;
    const { rewrites, masquerades: outward } = rules.fallback;
    if (obstacle === undefined)
      for (const { to } of rewrites)
        if (!this.#served.has(to) && (await isServed(to))) this.#served.add(to);
    const led = rewrites.filter(({ to }) => this.#served.has(to));
    this.#direct = this.#lead(this.#lacking());
    this.#say();
    return {
      ...rules,
      fallback: { rewrites: led, endpointDnats: this.#direct, masquerades: outward },
    };
  }

  /** Where kube-proxy's rules lead nowhere. */
  #lacking(): EndpointDnat[] {
    const { rewrites, endpointDnats: direct } = this.#parts.rules.fallback;
    const led = rewrites.filter(({ to }) => this.#served.has(to)).map(({ from }) => from);
    return direct.filter(({ from }) => !led.includes(from));
  }

  #lead(lacking: readonly EndpointDnat[]): EndpointDnat[] {
    const { endpoints } = this.#parts;
    if (endpoints === undefined || lacking.length === 0) return [];
    endpoints.want();
    return lacking
      .map((direct) => ({ ...direct, endpoints: ofFamily(endpoints.known, direct.family) }))
      .filter((direct) => !isNone(direct.endpoints));
  }

  #say(): void {
    const { endpoints, log } = this.#parts;
    const isLacking = this.#lacking().length > 0;
    if (!isLacking && this.open.length === 0) return;
    const texts = this.#direct.flatMap((direct) => endpointTexts(direct.endpoints));
    const why = [this.#obstacle(), endpoints?.reason ?? ''].filter((reason) => reason !== '');
    const fields = {
      localIps: this.open,
      ...(texts.length > 0 ? { endpoints: texts } : {}),
      ...(isLacking ? { reason: why.join('; ') } : {}),
    };
    const said = JSON.stringify(fields);
    if (said === this.#said) return;
    this.#said = said;
    log.info('fallback', fields);
  }

  /** Why not all of it goes by kube-proxy's rules. */
  #obstacle(): string {
    const { rules, obstacle } = this.#parts;
    const { rewrites } = rules.fallback;
    const waiting = rewrites.filter(({ to }) => !this.#served.has(to)).map(({ to }) => to);
    if (obstacle !== undefined) return obstacle;
    if (waiting.length === 0) return 'the ClusterIP of kube-dns is not known';
    return `no rules of kube-proxy for ${waiting.join(', ')} yet`;
  }
}
