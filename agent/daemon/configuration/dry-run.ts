/** Builds a configuration as the agent would, with services that open nothing, and records what plugins requested. */
import { networkInterfaces } from 'node:os';
import { formatEndpoint } from '../../base/address.ts';
import { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import { PodSources } from '../../base/clients/pod-sources.ts';
import type { Clock } from '../../base/clock.ts';
import { type ConfigError, InternalError } from '../../base/errors.ts';
import { PacedWork } from '../../base/paced-work.ts';
import type { Corefile } from '../../config/corefile/types.ts';
import { SeriesTable } from '../../observe/metrics/metrics.ts';
import type { RequestMetrics } from '../../query/query.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import type { CacheOptions } from '../../query/services/cache.ts';
import type { Files } from '../../query/services/files.ts';
import type { ApiClient } from '../../query/services/kubernetes.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Services } from '../../query/services/services.ts';
import type { UpstreamGroupOptions } from '../../query/services/upstreams.ts';
import { BlockIdentities } from './block-ids.ts';
import { buildServerConfig, type ServerConfig } from './server-config-builder.ts';

/** What the agent would do with a configuration, for `nodens check`. */
export interface DryRun {
  readonly serverConfig: ServerConfig;
  /** In the order of the file's `cache` directives. */
  readonly caches: readonly CacheOptions[];
  /** In the order of the file's `forward` lines. */
  readonly groups: readonly UpstreamGroupOptions[];
  /** Warnings of plugins, as `file:line: message` where they belong to a line. */
  readonly warnings: readonly string[];
  /** Names in `bind` that are taken for interfaces of another machine. */
  readonly foreignInterfaces: readonly string[];
}

/** A check cannot know the pod's memory limit. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** A clock that never advances: no timer of a plugin fires. */
const STILL: Clock = {
  nowMs: () => 0,
  wallMs: () => 0,
  after: () => ({ cancel: () => {} }),
  every: () => ({ cancel: () => {} }),
};

/** Placeholder for the node's name. */
const STAND_IN_NODE = 'node';
/** An API server that cannot be reached, so that no plugin waits for it: a check runs on any machine. */
const NO_API: ApiClient = {
  server: '',
  watch: () => ({
    state: { isSynced: false, lastContactMs: undefined, failure: 'a check asks no API server' },
    close: () => {},
  }),
  close: () => {},
};
/** Placeholder for the address of another machine's interface (RFC 5737). */
const STAND_IN_ADDRESS = '192.0.2.1';

/**
 * Throws ConfigError for the first thing that the agent would refuse; with `onError`, which then gets each, it does not
 * throw them. `files` are those that plugins name; their content may use `fileBudgetBytes`. Plugins are not prepared.
 */
export function dryRun(
  corefile: Corefile,
  files: Pick<Files, 'read' | 'open'>,
  fileBudgetBytes = NO_LIMIT,
  onError?: (error: ConfigError) => void,
): DryRun {
  const caches: CacheOptions[] = [];
  const groups: UpstreamGroupOptions[] = [];
  const warnings: string[] = [];
  const foreign = new Set<string>();
  // `at`: a line of the Corefile.
  const warn = (fields: object, message: string): void =>
    void warnings.push('at' in fields ? `${fields.at}: ${message}` : message);
  const log: Logger = { debug: () => {}, info: () => {}, warn, error: warn };
  const labels = new Map<string, ServerLabel>();
  const serverConfig = buildServerConfig(corefile, {
    shared: noopServices(log, files, fileBudgetBytes, caches, groups),
    identities: new BlockIdentities(() => {}),
    interfaces: () => new Interfaces(foreign),
    notReadyReasons: () => [],
    label: (endpoint) => {
      const label = `dns://${formatEndpoint(endpoint)}`;
      const known = labels.get(label) ?? { index: labels.size, label };
      labels.set(label, known);
      return known;
    },
    requestMetrics: () => UNCOUNTED,
    onError,
  });
  // Forward creates its upstreams in `start`; anything else that a plugin starts waits for the stopped clock.
  for (const plugin of serverConfig.plugins) if (plugin.name === 'forward') plugin.start?.();
  return { serverConfig, caches, groups, warnings, foreignInterfaces: [...foreign] };
}

const UNCOUNTED: RequestMetrics = {
  record: () => {},
  recordDuration: () => {},
  traced: () => UNCOUNTED,
};

/** The loopback, and any name that might be an interface of a node. */
class Interfaces extends Map<string, readonly string[]> {
  readonly #foreign: Set<string>;

  constructor(foreign: Set<string>) {
    super([['lo', ['127.0.0.1', '::1']]]);
    this.#foreign = foreign;
  }

  override get(name: string): readonly string[] | undefined {
    const own = super.get(name) ?? networkInterfaces()[name]?.map(({ address }) => address);
    if (own !== undefined || !/^[a-z][a-z0-9_.-]{0,14}$/i.test(name)) return own;
    this.#foreign.add(name);
    return [STAND_IN_ADDRESS];
  }
}

function noopServices(
  log: Logger,
  files: Pick<Files, 'read' | 'open'>,
  fileBudgetBytes: number,
  caches: CacheOptions[],
  groups: UpstreamGroupOptions[],
): Omit<Services, 'block' | 'taps' | 'admin' | 'process'> {
  const never = (): never => {
    throw new InternalError('a dry run asks no upstream');
  };
  return {
    ...{ clock: STILL, log, metrics: new SeriesTable(), random: () => 0.5 },
    writeLine: () => {},
    exports: { spans: never, frames: never, profile: never },
    pods: new PodSources(),
    kubernetes: { nodeName: STAND_IN_NODE, connect: () => Promise.resolve(NO_API) },
    resolve: never,
    resolveNow: never,
    files: { ...files, watch: () => ({ close: () => {} }) },
    ledger: new MemoryLedger({ clientBudgetBytes: NO_LIMIT, fileBudgetBytes }),
    work: new PacedWork(STILL),
    cache: {
      open: (_block, _zones, options) => {
        caches.push(options);
        return { handle: never };
      },
    },
    upstreams: {
      group: (options) => {
        groups.push(options);
        return { admits: never, exchange: never, release: () => {} };
      },
    },
  };
}
