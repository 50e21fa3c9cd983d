/** Everything that outlives a reload, created once: series, logs, cache, upstreams, listeners, HTTP endpoints. */
import { getHeapStatistics } from 'node:v8';
import { addressBytes, type Endpoint, formatAddress } from '../base/address.ts';
import { MemoryLedger } from '../base/clients/memory-ledger.ts';
import { PodSources } from '../base/clients/pod-sources.ts';
import type { Clock } from '../base/clock.ts';
import { errnoOf } from '../base/errors.ts';
import { lackOfOpening, type ReportLack } from '../base/lack.ts';
import { PacedWork } from '../base/paced-work.ts';
import type { ClearBytes } from '../base/segments.ts';
import { createCache } from '../cache/cache.ts';
import { VERSION } from '../cli/version.ts';
import type { Environment } from '../config/corefile/env.ts';
import { openFile, systemFiles } from '../config/files.ts';
import { watchFiles } from '../config/watch.ts';
import { createKubernetesApi } from '../kubernetes/api.ts';
import { AdminServer } from '../observe/admin/admin.ts';
import { MetricsPages } from '../observe/admin/metrics-endpoints.ts';
import { createExports } from '../observe/export/exports.ts';
import { clientLimits } from '../observe/log/client-limits.ts';
import { lackReporter } from '../observe/log/local-lack.ts';
import { type AdjustableLogger, createLogger } from '../observe/log/log.ts';
import { RecentLines } from '../observe/log/recent-lines.ts';
import { fileSink, LineWriter } from '../observe/log/stdout-writer.ts';
import { SeriesTable } from '../observe/metrics/metrics.ts';
import { TrafficTable } from '../observe/metrics/request-metrics.ts';
import { Query } from '../query/query.ts';
import type { Files } from '../query/services/files.ts';
import type { Services } from '../query/services/services.ts';
import { Dispatcher } from '../server/dispatch.ts';
import { Identity } from '../server/identity.ts';
import { nodeAddresses } from '../server/listen/node-addresses.ts';
import { Listeners } from '../server/listeners.ts';
import { selectTransport } from '../server/select-transport.ts';
import type { ConnectUdp } from '../server/udp/connected.ts';
import { nodeSockets } from '../upstream/transport/node-sockets.ts';
import type { Sockets } from '../upstream/transport/ports.ts';
import { createUpstreams } from '../upstream/upstreams.ts';
import {
  type CacheBudget,
  cacheBudget,
  cgroupLimitBytes,
  ledgerBudget,
  readText,
  tcpConnectionBound,
  tcpWaitingBound,
} from './node/memory.ts';
import { nodeWeight } from './node/node-weight.ts';
import { udpSizes } from './node/udp-sizes.ts';
import type { AgentOptions } from './options.ts';

const STDOUT = 1;

/**
 * Pages and HTTP have a twentieth of the time. As much again is spent on sockets, which nothing here counts: with a
 * fifth, clients that ask for pages all the time took 45 % of the agent's time. A page of 11 kB takes 12 ms, one of 100
 * server blocks 40.
 */
const PAGE_REST_FACTOR = 19;

const LIMITED_BY_KIND = { query: 'queries', connection: 'memory', http: 'http' } as const;

/** Shared by all configurations; `Daemon.stop` closes its parts. */
export interface ProcessServices {
  readonly clock: Clock;
  readonly log: AdjustableLogger;
  readonly lines: LineWriter;
  /** The last lines of the log. */
  readonly recentLines: RecentLines;
  readonly metrics: SeriesTable;
  readonly traffic: TrafficTable;
  readonly budget: CacheBudget;
  readonly cache: ReturnType<typeof createCache>;
  readonly upstreams: ReturnType<typeof createUpstreams>;
  readonly identity: Identity;
  readonly dispatcher: Dispatcher;
  readonly listeners: Listeners;
  readonly admin: AdminServer;
  /** Paces HTTP and what it shows. */
  readonly pageWork: PacedWork;
  readonly metricsPages: MetricsPages;
  readonly reportLack: ReportLack;
  /** Services that are the same for every block. */
  readonly shared: Omit<Services, 'block' | 'taps' | 'admin' | 'process'>;
}

/** Loads the addon if there is one, and binds no socket. */
export function createProcessServices(
  options: AgentOptions,
  clock: Clock,
  env: Environment,
): ProcessServices {
  const observed = createObservation(clock);
  const { metrics, traffic, lines, log, recentLines, onLimited, reportLack } = observed;
  const { clearBytes, ...transports } = selectTransport(log, clock);
  const { budget, ledger } = createLedger(options, clock, observed, clearBytes);
  const random = Math.random;
  const { connected } = transports;
  const sockets = connected === undefined ? nodeSockets : withConnected(connected.connect);
  const cache = createCache({ clock, metrics, log, totalBytes: budget.bytes, random, ledger });
  const upstreams = createUpstreams({ clock, metrics, log, random, ledger, sockets, reportLack });
  const identity = new Identity();
  const dispatcher = new Dispatcher(log, metrics.counter('coredns_panics_total'), identity);
  const listeners = new Listeners({
    ...{ ...transports, dispatcher, clock, metrics, log, ledger, onLimited, reportLack },
    addresses: nodeAddresses,
    intercepted: intercepted(options),
    maxTcpConnections: tcpConnectionBound(readText),
    maxTcpWaiting: tcpWaitingBound(readText),
    udpSizeBytes: udpSizes(options.localIps),
  });
  metrics.gaugeFrom('nodens_in_flight_queries', {}, () => listeners.pending);
  const work = new PacedWork(clock);
  const pageWork = new PacedWork(clock, PAGE_REST_FACTOR);
  const admin = new AdminServer({ clock, metrics, log, ledger, work: pageWork, onLimited });
  const metricsPages = new MetricsPages([metrics, traffic], pageWork, clock);
  const files = pluginFiles(clock, log, reportLack);
  const resolveNow: Services['resolveNow'] = (question) =>
    dispatcher.handle(Query.internal(question, clock.nowMs(), question.behalfOf));
  return {
    ...{ clock, log, lines, metrics, traffic, budget, cache, upstreams, identity, dispatcher },
    ...{ listeners, admin, pageWork, metricsPages, reportLack, recentLines },
    shared: {
      ...{ clock, log, metrics, cache, upstreams, random, ledger, work },
      writeLine: lines.writeLine,
      exports: createExports({ clock, log, metrics }),
      files,
      pods: new PodSources(),
      kubernetes: createKubernetesApi({
        ...{ clock, log, metrics, work, random, files, env },
        userAgent: `nodens/${VERSION}`,
      }),
      resolve: async (question) => await resolveNow(question),
      resolveNow,
    },
  };
}

type Observation = ReturnType<typeof createObservation>;

/** How the agent is observed: series, log, and reports about clients and this node. */
function createObservation(clock: Clock) {
  const metrics = new SeriesTable();
  describeBuild(metrics);
  const dropped = metrics.counter('nodens_log_lines_dropped_total');
  const lines = new LineWriter(fileSink(STDOUT, dropped), dropped);
  const recentLines = new RecentLines();
  const writeLine = (line: string): void => {
    recentLines.add(line);
    lines.writeLine(line);
  };
  const log = createLogger({ level: 'info', writeLine, clock });
  return {
    ...{ metrics, lines, log, recentLines, traffic: new TrafficTable() },
    onLimited: clientLimits(metrics, log),
    reportLack: lackReporter(metrics, log, clock),
  };
}

/** Divides the memory limit among the cache, clients and files. */
function createLedger(
  options: AgentOptions,
  clock: Clock,
  { metrics, onLimited }: Observation,
  clearBytes: ClearBytes,
): { budget: CacheBudget; ledger: MemoryLedger } {
  const limitBytes = cgroupLimitBytes(readText);
  const budget = cacheBudget(options.memoryBytes, limitBytes);
  const heapBytes = getHeapStatistics().heap_size_limit;
  const ledger = new MemoryLedger({
    ...ledgerBudget(heapBytes, budget.bytes, limitBytes),
    clearBytes,
    weightOf: nodeWeight(options.nodeShare, clock),
    onLimited: ({ key }, kind) => onLimited(LIMITED_BY_KIND[kind], key),
  });
  metrics.gaugeFrom('nodens_client_memory_bytes', {}, () => ledger.usedBytes);
  metrics.gauge('nodens_client_memory_limit_bytes').value = ledger.clientBudgetBytes;
  metrics.gaugeFrom('nodens_file_memory_bytes', {}, () => ledger.fileBytes);
  metrics.gauge('nodens_file_memory_limit_bytes').value = ledger.fileBudgetBytes;
  return { budget, ledger };
}

/** Addresses to which init redirects the pods' queries. */
function intercepted({ socketPath, localIps, port }: AgentOptions): Endpoint[] {
  if (socketPath === undefined) return [];
  return localIps.map((address) => ({ address: formatAddress(addressBytes(address)), port }));
}

/** Node's sockets, with datagrams through the addon. */
function withConnected(connect: ConnectUdp): Sockets {
  return {
    ...nodeSockets,
    datagram: (to, events) => {
      // The addon leaves the source to the kernel.
      if (to.from !== undefined) return nodeSockets.datagram(to, events);
      return connect(to, {
        onMessage: (message) => events.onMessage(message, to.address, to.port),
        onError: (errno, phase) => events.onError({ phase, errno }),
      });
    },
  };
}

function describeBuild(metrics: SeriesTable): void {
  const labels = { version: VERSION, revision: '', goversion: `node${process.versions.node}` };
  metrics.gauge('coredns_build_info', labels).value = 1;
}

/** Files as plugins see them (hosts, weights). */
function pluginFiles(clock: Clock, log: AdjustableLogger, reportLack: ReportLack): Files {
  const reported = (error: unknown, path: string): unknown => {
    const lack = lackOfOpening(errnoOf(error));
    if (lack !== undefined) reportLack(lack, errnoOf(error), `read ${path}`);
    return error;
  };
  return {
    read: (path) => {
      try {
        return systemFiles.read(path);
      } catch (error) {
        throw reported(error, path);
      }
    },
    open: async (path) => {
      try {
        return await openFile(path, clock);
      } catch (error) {
        throw reported(error, path);
      }
    },
    watch: (path, intervalMs, onChange) =>
      watchFiles([path], clock, onChange, {
        pollMs: intervalMs,
        onError: (error) =>
          log.warn({ event: 'watch-failed', path, error: String(error) }, 'cannot watch a file'),
      }),
  };
}
