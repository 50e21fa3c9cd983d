/** Access to one API server: its connections, its rate limit and its watches. Loaded at the first `connect`. */
import type { Clock } from '../base/clock.ts';
import type { PacedWork } from '../base/paced-work.ts';
import type { ApiAccess } from '../config/corefile/api-access.ts';
import type { ApiClient } from '../query/services/kubernetes.ts';
import type { Logger } from '../query/services/log.ts';
import type { Metrics } from '../query/services/metrics.ts';
import { type AccessSource, readApiServer } from './access.ts';
import { RateLimit } from './backoff.ts';
import { Reports } from './reports.ts';
import { ApiTransport } from './transport.ts';
import { CollectionWatch } from './watch.ts';

/** What the process gives to its clients. */
export interface ClientContext extends AccessSource {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly work: PacedWork;
  readonly random: () => number;
  /** `nodens/0.2.0`: the API server's audit log shows it. */
  readonly userAgent: string;
}

/** Reads kubeconfig, certificates and token; connects to no server. Rejects with ConfigError. */
export async function connectTo(access: ApiAccess, context: ClientContext): Promise<ApiClient> {
  const { clock, log, metrics, work, random, userAgent } = context;
  const apiServer = await readApiServer(access, context);
  const { origin: server, host } = apiServer.url;
  const transport = new ApiTransport(apiServer, clock, userAgent);
  const limit = new RateLimit(clock, access.requestsPerSecond, access.burst);
  const watches = new Set<CollectionWatch<unknown>>();
  return {
    server,
    watch: (options) => {
      const reports = new Reports(options.path, { server, host, clock, log, metrics });
      const watch = new CollectionWatch(options, {
        ...{ transport, limit, clock, work, random, reports },
      });
      watches.add(watch as CollectionWatch<unknown>);
      return watch;
    },
    close: () => {
      for (const watch of watches) watch.close();
      watches.clear();
      transport.close();
    },
  };
}
