/**
 * Finds out which fallback is ready. A rewrite to the ClusterIP is, once kube-proxy's rules know that address: before, a
 * rewritten query would get no answer, although an agent may listen at the local IP. Until then kube-dns's endpoints are the
 * fallback, where init knows any.
 */
import { messageOf } from '../../agent/base/errors.ts';
import type { EndpointFollower } from '../endpoints/follow.ts';
import { endpointTexts, NO_ENDPOINTS } from '../endpoints/set.ts';
import type { Log } from '../log.ts';
import { CommandError } from '../node/exec.ts';
import { type Fallback, type FallbackState, fallbackNow, unserved } from '../plan/fallback.ts';

/** What `FallbackReadiness` needs of init. */
export interface FallbackReadinessParts {
  /** Of the plan. */
  readonly possible: Fallback;
  /** Whether another program's rules serve this ClusterIP. Rejects with `CommandError` where that cannot be seen. */
  readonly isServed: (clusterIp: string) => Promise<boolean>;
  /** Why init does not wait for kube-proxy's rules; undefined where it does. */
  readonly obstacle: string | undefined;
  /** Whether the obstacle is a fault, which the log warns of, and not this node's kind. */
  readonly isFault?: boolean;
  /** Undefined where the fallback must not use endpoints. */
  readonly endpoints: Pick<EndpointFollower, 'known' | 'reason' | 'want'> | undefined;
  readonly log: Log;
}

/**
 * Changes nothing on the node, but `look` may set the endpoint follower going (`want`). Logs the fallback when it
 * changes, as a warning where it is lost or cannot be had.
 */
export class FallbackReadiness {
  readonly #parts: FallbackReadinessParts;
  readonly #served = new Set<string>();
  #state: FallbackState = { servedIps: [], endpoints: NO_ENDPOINTS };
  /** Why the last look did not see kube-proxy's rules. */
  #failure: string | undefined;
  #lastLogged: string | undefined;
  #lastReady: readonly string[] = [];

  constructor(parts: FallbackReadinessParts) {
    this.#parts = parts;
  }

  /** Whether the next `look` may find more than the last did. */
  get isPending(): boolean {
    const { possible, obstacle } = this.#parts;
    return obstacle === undefined && possible.rewrites.some(({ to }) => !this.#served.has(to));
  }

  /** Local IPs that have a fallback now. */
  get readyIps(): string[] {
    const { rewrites, endpointDnats } = fallbackNow(this.#parts.possible, this.#state);
    return [...rewrites, ...endpointDnats].map(({ from }) => from);
  }

  /** A ClusterIP that was served once counts as served from then on. */
  async look(): Promise<FallbackState> {
    this.#failure = undefined;
    if (this.#parts.obstacle === undefined) await this.#lookForProxy();
    const servedIps = [...this.#served];
    this.#state = { servedIps, endpoints: this.#endpoints(servedIps) };
    this.#log();
    return this.#state;
  }

  async #lookForProxy(): Promise<void> {
    const { possible, isServed } = this.#parts;
    try {
      for (const { to } of possible.rewrites)
        if (!this.#served.has(to) && (await isServed(to))) this.#served.add(to);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#failure = `the rules of kube-proxy cannot be read: ${messageOf(error)}`;
    }
  }

  #endpoints(servedIps: readonly string[]): FallbackState['endpoints'] {
    const { possible, endpoints } = this.#parts;
    if (endpoints === undefined || unserved(possible, servedIps).length === 0) return NO_ENDPOINTS;
    endpoints.want();
    return endpoints.known;
  }

  #log(): void {
    const { possible, endpoints, isFault, log } = this.#parts;
    const isIncomplete = unserved(possible, this.#state.servedIps).length > 0;
    const localIps = this.readyIps;
    if (!isIncomplete && localIps.length === 0) return;
    const { endpointDnats } = fallbackNow(possible, this.#state);
    const texts = endpointDnats.flatMap((dnat) => endpointTexts(dnat.endpoints));
    const why = [this.#obstacle(), endpoints?.reason ?? ''].filter((reason) => reason !== '');
    const fields = {
      localIps,
      ...(texts.length > 0 ? { endpoints: texts } : {}),
      ...(isIncomplete ? { reason: why.join('; ') } : {}),
    };
    const text = JSON.stringify(fields);
    if (text === this.#lastLogged) return;
    const isLost = this.#lastReady.some((ip) => !localIps.includes(ip));
    this.#lastLogged = text;
    this.#lastReady = localIps;
    // Before kube-proxy's first rules there is no fallback either: that is how every node starts.
    if (isLost || this.#failure !== undefined || (isIncomplete && isFault === true))
      log.warn('fallback', { event: 'fallback-missing', ...fields });
    else log.info('fallback', fields);
  }

  /** Why kube-proxy's rules do not serve all of it. */
  #obstacle(): string {
    const { possible, obstacle } = this.#parts;
    const waiting = possible.rewrites.filter(({ to }) => !this.#served.has(to));
    const known = this.#failure ?? obstacle;
    if (known !== undefined) return known;
    if (waiting.length === 0) return 'the ClusterIP of kube-dns is not known';
    return `no rules of kube-proxy for ${waiting.map(({ to }) => to).join(', ')} yet`;
  }
}
