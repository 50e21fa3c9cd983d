/** Puts the admin socket together: what each command needs of the daemon. */
import { type Endpoint, formatEndpoint } from '../base/address.ts';
import { VERSION } from '../cli/version.ts';
import type { Environment } from '../config/corefile/env.ts';
import { AdminSocket } from '../operator/admin-socket.ts';
import { operatorHandler } from '../operator/operator.ts';
import { QueryWatch } from '../operator/query-watch.ts';
import { Status } from '../operator/status.ts';
import type { BlockIdentities } from './configuration/block-ids.ts';
import type { ConfigReloader } from './configuration/config-reloader.ts';
import { assumedSearch, upstreamsOf } from './explained-config.ts';
import type { AgentOptions } from './options.ts';
import type { ProcessServices } from './process-services.ts';

/** Parts of the daemon that commands look at. */
export interface AdminSocketContext {
  readonly services: ProcessServices;
  readonly identities: BlockIdentities;
  readonly reloader: Pick<ConfigReloader, 'current'>;
  readonly notReadyReasons: () => readonly string[];
  /** State that init reports; undefined while it is not connected. */
  readonly interception: () => string | undefined;
  readonly env: Environment;
  readonly rewriteSnapshot: (() => Promise<boolean>) | undefined;
}

/** The socket of an agent with `options`, not open yet; undefined if the operator wants none. */
export function createAdminSocket(
  options: AgentOptions,
  context: AdminSocketContext,
): AdminSocket | undefined {
  const { adminSockets, isAdminSocketChosen = false, socketPath } = options;
  if (adminSockets === undefined || adminSockets.length === 0) return undefined;
  const { services, identities, reloader, notReadyReasons, rewriteSnapshot } = context;
  const { clock, log, metrics, traffic, cache, budget, upstreams, listeners, shared } = services;
  const { interception, env } = context;
  const queryWatch = new QueryWatch(services.dispatcher, clock);
  const status = new Status({
    ...{ clock, cache, upstreams, notReadyReasons, queryWatch, version: VERSION },
    series: [metrics, traffic],
    limitBytes: budget.bytes,
    ledger: shared.ledger,
    listeners: () => listeners.endpoints.map(formatEndpoint),
    configuration: () => reloader.current?.corefile.hash,
    interception: () => (socketPath === undefined ? 'no init' : (interception() ?? 'disconnected')),
    inFlight: () => listeners.pending,
  });
  const asking = {
    ...{ clock, cache, dispatcher: services.dispatcher },
    ...{ random: shared.random, pods: shared.pods },
    endpoints: () => listeners.endpoints,
    label: (endpoint: Endpoint) => listeners.label(endpoint),
  };
  const recentLines = (): readonly string[] => services.recentLines.all;
  const handler = operatorHandler({
    status,
    recentLines,
    top: { clock, status, queries: queryWatch, pods: shared.pods, recentLines },
    observe: {
      ...{ clock, attempts: upstreams.attempts, pods: shared.pods },
      queries: queryWatch,
    },
    query: { ...asking, attempts: upstreams.attempts },
    explain: {
      ...asking,
      upstreamsOf: (place, name) =>
        upstreamsOf(reloader.current?.corefile, place, name, upstreams.summary()),
      assumed: (namespace) =>
        assumedSearch(namespace, reloader.current?.corefile, env, options.upstreamService),
    },
    cache: {
      ...{ clock, log, cache, rewriteSnapshot, work: shared.work, limitBytes: budget.bytes },
      blockName: (id) => identities.textOf(id) ?? String(id),
      counters: () => status.cacheCounters(),
      flushed: metrics.counter('nodens_cache_flushed_entries_total'),
    },
  });
  return new AdminSocket({
    ...{ clock, log, handler, paths: adminSockets, isChosen: isAdminSocketChosen },
  });
}
