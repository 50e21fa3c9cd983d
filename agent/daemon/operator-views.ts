/** Puts together what an operator sees of the daemon: the admin socket and the status page. */
import { type Endpoint, formatEndpoint } from '../base/address.ts';
import { VERSION } from '../cli/version.ts';
import type { Environment } from '../config/corefile/env.ts';
import { AdminSocket } from '../operator/admin-socket.ts';
import { operatorHandler } from '../operator/operator.ts';
import { StatusPage } from '../operator/page/status-page.ts';
import { Status } from '../operator/status.ts';
import { QueryWatch } from '../operator/watch/query-watch.ts';
import type { BlockIdentities } from './configuration/block-ids.ts';
import type { ConfigReloader } from './configuration/config-reloader.ts';
import { assumedSearch, upstreamsOf } from './explained-config.ts';
import type { AgentOptions } from './options.ts';
import type { ProcessServices } from './process-services.ts';

/** Parts of the daemon that an operator looks at. */
export interface OperatorContext {
  readonly services: ProcessServices;
  readonly identities: BlockIdentities;
  readonly reloader: Pick<ConfigReloader, 'current'>;
  readonly notReadyReasons: () => readonly string[];
  /** State that init reports; undefined while it is not connected. */
  readonly interception: () => string | undefined;
  readonly env: Environment;
  readonly rewriteSnapshot: (() => Promise<boolean>) | undefined;
}

/** What an operator sees of an agent. */
export interface OperatorViews {
  /** Not open yet; undefined if the operator wants none. */
  readonly adminSocket: AdminSocket | undefined;
  readonly statusPage: StatusPage;
}

/** The views of an agent with `options`. Nothing of them runs yet. */
export function createOperatorViews(
  options: AgentOptions,
  context: OperatorContext,
): OperatorViews {
  const { clock, dispatcher, admin, pageWork, shared } = context.services;
  const queries = new QueryWatch(dispatcher, clock);
  const status = createStatus(options, context, queries);
  const { nodeName } = shared.kubernetes;
  const endpoints = (): readonly string[] => admin.served;
  return {
    adminSocket: createAdminSocket(options, context, status, queries),
    statusPage: new StatusPage({ clock, work: pageWork, status, queries, nodeName, endpoints }),
  };
}

function createStatus(
  { socketPath }: AgentOptions,
  { services, reloader, notReadyReasons, interception }: OperatorContext,
  queryWatch: QueryWatch,
): Status {
  const { clock, metrics, traffic, cache, budget, upstreams, listeners, shared } = services;
  return new Status({
    ...{ clock, cache, upstreams, notReadyReasons, queryWatch, version: VERSION },
    work: shared.work,
    series: [metrics, traffic],
    limitBytes: budget.bytes,
    ledger: shared.ledger,
    listeners: () => listeners.endpoints.map(formatEndpoint),
    configuration: () => reloader.current?.corefile.hash,
    interception: () => (socketPath === undefined ? 'no init' : (interception() ?? 'disconnected')),
    inFlight: () => listeners.pending,
  });
}

function createAdminSocket(
  { adminSockets, isAdminSocketChosen = false, upstreamService }: AgentOptions,
  { services, identities, reloader, env, rewriteSnapshot }: OperatorContext,
  status: Status,
  queries: QueryWatch,
): AdminSocket | undefined {
  if (adminSockets === undefined || adminSockets.length === 0) return undefined;
  const { clock, log, metrics, cache, budget, upstreams, listeners, shared } = services;
  const { pods, random } = shared;
  const { attempts } = upstreams;
  const asking = {
    ...{ clock, cache, dispatcher: services.dispatcher, random, pods },
    endpoints: () => listeners.endpoints,
    label: (endpoint: Endpoint) => listeners.label(endpoint),
  };
  const recentLines = (): readonly string[] => services.recentLines.all;
  const handler = operatorHandler({
    status,
    recentLines,
    top: { clock, status, queries, pods, recentLines },
    observe: { clock, queries, attempts, pods },
    query: { ...asking, attempts },
    explain: {
      ...asking,
      upstreamsOf: (place, name) =>
        upstreamsOf(reloader.current?.corefile, place, name, upstreams.summary()),
      assumed: (namespace) =>
        assumedSearch(namespace, reloader.current?.corefile, env, upstreamService),
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
