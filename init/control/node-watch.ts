/** What init watches on the node once it is set up; the end of all of it is one call. */
import type { Clock } from '../../agent/base/clock.ts';
import type { EndpointFollower } from '../endpoints/follow.ts';
import type { Firewall } from '../firewall/select.ts';
import type { InitOptions } from '../options.ts';
import type { Plan } from '../plan/plan.ts';
import type { ServiceEdge } from './edge.ts';
import type { KeptIps } from './kept-ips.ts';
import type { Reconciler } from './reconciler.ts';
import type { NodeLocalDnsTakeover } from './takeover.ts';

/** What `NodeWatch` starts and ends. */
export interface NodeWatchParts {
  readonly options: Pick<InitOptions, 'setupInterface' | 'interfaceName'>;
  readonly plan: Pick<Plan, 'addresses' | 'interceptedIps'>;
  readonly firewall: Pick<Firewall, 'name' | 'hasFallback'> | undefined;
  readonly reconciler: Pick<Reconciler, 'interception' | 'stop'>;
  readonly kept: Pick<KeptIps, 'watch' | 'stop'>;
  readonly takeover: Pick<NodeLocalDnsTakeover, 'watch' | 'stop'>;
  readonly endpoints: Pick<EndpointFollower, 'stop'> | undefined;
  readonly edge: Pick<ServiceEdge, 'monitor' | 'reachesAgent'>;
  readonly clock: Clock;
  /** Another program may have changed addresses or rules. */
  readonly onChange: () => void;
}

/** Only looks, apart from the takeover and the kept local IPs, which remove what is out of use. */
export class NodeWatch {
  readonly #parts: NodeWatchParts;
  #endMonitor: () => void = () => undefined;

  constructor(parts: NodeWatchParts) {
    this.#parts = parts;
  }

  /** To be called once, when the first pass over addresses and rules is over. */
  start(): void {
    const { options, plan, firewall, kept, takeover, edge, clock, onChange } = this.#parts;
    kept.watch();
    void takeover.watch();
    this.#endMonitor = edge.monitor({
      clock,
      addresses: options.setupInterface ? plan.addresses : [],
      interfaceName: options.interfaceName,
      hasNft: firewall?.hasFallback === true,
      isIntact:
        firewall?.name.startsWith('iptables') === true ? () => this.#isRedirected() : undefined,
      onChange,
    });
  }

  /** Ends all of it, the endpoint follower, and the reconciler's passes at intervals. */
  stop(): void {
    const { takeover, kept, endpoints, reconciler } = this.#parts;
    takeover.stop();
    kept.stop();
    this.#endMonitor();
    endpoints?.stop();
    reconciler.stop();
  }

  /** Whether queries of the node itself reach the agent, as far as they should. */
  async #isRedirected(): Promise<boolean> {
    const { plan, reconciler, edge } = this.#parts;
    if (reconciler.interception !== 'full') return true;
    return (await Promise.all(plan.interceptedIps.map(edge.reachesAgent))).every(Boolean);
  }
}
