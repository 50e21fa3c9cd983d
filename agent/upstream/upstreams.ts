/** The room's interface: everything that asks upstream uses one `Upstreams`, created once per process. */

import type { MemoryLedger } from '../base/clients/memory-ledger.ts';
import type { Clock } from '../base/clock.ts';
import type { ReportLack } from '../base/lack.ts';
import type { Logger } from '../query/services/log.ts';
import type { Metrics } from '../query/services/metrics.ts';
import type { UpstreamGroupOptions, Upstreams } from '../query/services/upstreams.ts';
import { AttemptWatch } from './exchange/attempt-watch.ts';
import { Group } from './group.ts';
import type { HealthState } from './health/health.ts';
import { HealthRegistry } from './health/health-registry.ts';
import { Registry } from './registry.ts';
import { type IdSource, randomIds } from './transport/ids.ts';
import { nodeSockets } from './transport/node-sockets.ts';
import type { Sockets } from './transport/ports.ts';
import { reportingLacks } from './transport/reporting-sockets.ts';
import { TimerWheel } from './transport/timer-wheel.ts';

/** Services of the process, which outlive every configuration. */
export interface UpstreamsDependencies {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Uniform in [0, 1): spreads load. */
  readonly random: () => number;
  /** Query IDs; unpredictable by default. */
  readonly ids?: IdSource;
  /** Node's own by default. */
  readonly sockets?: Sockets;
  /** Called with each resource that this node lacks to reach them. */
  readonly reportLack?: ReportLack;
  /** Accounts for waiting queries. */
  readonly ledger: MemoryLedger;
}

/** One upstream of one group, for readiness and the banner. */
export interface UpstreamState {
  /** The plugin that forwards to it. */
  readonly group: string;
  /** `address:port`. */
  readonly to: string;
  readonly state: HealthState;
}

/** As the daemon sees the upstreams; plugins see only `Upstreams`. */
export interface UpstreamsRoom extends Upstreams {
  /** Every upstream of every group that has not been released. */
  summary(): readonly UpstreamState[];
  /** Queries in flight. */
  readonly inFlight: number;
  /** Shows each attempt of each exchange. */
  readonly attempts: AttemptWatch;
  /** Closes every socket; queries in flight fail at once. */
  close(): Promise<void>;
}

/** Opens no socket before the first query. `group` throws OpenSSL's error if certificates are unusable. */
export function createUpstreams(dependencies: UpstreamsDependencies): UpstreamsRoom {
  const { clock, metrics, log, random, ledger } = dependencies;
  const { ids = randomIds(), reportLack } = dependencies;
  const given = dependencies.sockets ?? nodeSockets;
  const sockets = reportLack === undefined ? given : reportingLacks(given, reportLack);
  const timers = new TimerWheel(clock);
  const registry = new Registry({ clock, metrics, random, sockets, ids, timers });
  const checks = new HealthRegistry({ clock, metrics, log, timers, random });
  const load = { inFlight: 0 };
  const groups = new Map<Group, UpstreamGroupOptions>();
  const attempts = new AttemptWatch();
  return {
    group(options) {
      const shared = { clock, metrics, log, random, timers, ledger, attempts };
      const group = new Group(options, { ...shared, registry, checks, load });
      groups.set(group, options);
      return {
        admits: (clientKey) => group.admits(clientKey),
        exchange: (question, budgetMs) => group.exchange(question, budgetMs),
        isResolved: () => group.isResolved(),
        release() {
          groups.delete(group);
          group.release();
        },
      };
    },
    summary: () => [...groups].flatMap(([group, { name }]) => statesOf(group, name)),
    get inFlight() {
      return load.inFlight;
    },
    attempts,
    async close() {
      for (const group of groups.keys()) group.release();
      groups.clear();
      registry.closeAll();
      timers.close();
    },
  };
}

function statesOf(group: Group, name: string): UpstreamState[] {
  return group.members.map(({ upstream, health }) => ({
    group: name,
    to: upstream.name,
    state: health?.state ?? 'up',
  }));
}
