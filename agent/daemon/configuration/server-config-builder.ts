/** Turns a Corefile into a configuration ready to serve: addresses, chains and routes. Opens and starts nothing. */
import { type Endpoint, formatEndpoint } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import { boundingPatterns } from '../../config/corefile/pattern.ts';
import type { Block, BlockKey, Corefile, Directive } from '../../config/corefile/types.ts';
import { directiveErrors } from '../../config/known-directives.ts';
import { bindAddresses } from '../../plugins/bind/setup.ts';
import { PLUGINS, SUPPORTED } from '../../plugins/order.ts';
import { compose, type Plugin } from '../../query/plugin.ts';
import type { RequestMetrics } from '../../query/query.ts';
import type { ZoneTable } from '../../query/routing.ts';
import type { AdminHandler, AdminRoutes, MetricsPageOptions } from '../../query/services/admin.ts';
import type { BlockContext, ServerLabel } from '../../query/services/block.ts';
import type { ProcessSettings, TcpTimeouts } from '../../query/services/process.ts';
import type { Services } from '../../query/services/services.ts';
import { refuse } from '../../server/dispatch.ts';
import { tablesOf, type Zone } from '../../server/listen/tables.ts';
import { acceptanceOf, type Chain, inChainOrder, routedBlock, viewNameOf } from './block-chain.ts';
import { type BlockIdentities, fingerprint } from './block-ids.ts';
import { withoutLine } from './without-line.ts';

/** A path served over HTTP while a configuration is in force. */
export interface AdminRoute {
  readonly address: string;
  readonly path: string;
  readonly handler: AdminHandler;
}

/** Settings of the process that a configuration requests. */
export interface Settings {
  lameduckMs: number;
  reload: { readonly intervalMs: number; readonly jitterMs: number } | undefined;
  isDebug: boolean;
}

/** A configuration ready to serve. */
export interface ServerConfig {
  readonly corefile: Corefile;
  /** Listeners as the Corefile names them: the address is '' for a block without `bind`. */
  readonly endpoints: readonly Endpoint[];
  /** By listener index. */
  readonly tables: readonly (ZoneTable | undefined)[];
  /** By listener index. */
  readonly tcpTimeouts: readonly (TcpTimeouts | undefined)[];
  readonly plugins: readonly Plugin[];
  readonly adminRoutes: readonly AdminRoute[];
  /** Options of /metrics, by address. */
  readonly metricsPages: ReadonlyMap<string, MetricsPageOptions>;
  /** Whether a block traces queries, so that series can name traces. */
  readonly hasExemplars: boolean;
  /** Addresses of the status page. */
  readonly statusPages: ReadonlySet<string>;
  readonly settings: Settings;
  /** Label sets of coredns_plugin_enabled. */
  readonly enabled: readonly Readonly<Record<'server' | 'zone' | 'view' | 'name', string>>[];
}

/** What the process provides to build a configuration. */
export interface ServerConfigParts {
  /** Services that are the same for every block. */
  readonly shared: Omit<Services, 'block' | 'taps' | 'admin' | 'process'>;
  readonly identities: BlockIdentities;
  readonly label: (endpoint: Endpoint) => ServerLabel;
  readonly interfaces: () => ReadonlyMap<string, readonly string[]>;
  /** Why the process as a whole is not ready: it does not listen yet, or is stopping. */
  readonly notReadyReasons: () => readonly string[];
  readonly requestMetrics: (server: ServerLabel, zone: string, view: string) => RequestMetrics;
  /** Gets each error in place of a throw, for a check of all. The result then lacks what is wrong: it is not served. */
  readonly onError?: ((error: ConfigError) => void) | undefined;
}

/** Throws ConfigError for anything in `corefile` that cannot be served, unless `onError` takes it. */
export function buildServerConfig(corefile: Corefile, parts: ServerConfigParts): ServerConfig {
  return boundingPatterns(() => new ServerConfigBuilder(corefile, parts).run());
}

/** Address of a listener of a block without `bind`. */
const EVERY_ADDRESS = '';

interface Placed {
  readonly block: Block;
  /** One per address and port that the block is served on. */
  readonly endpoints: readonly Endpoint[];
  readonly addresses: readonly string[];
}

class ServerConfigBuilder {
  readonly #corefile: Corefile;
  readonly #parts: ServerConfigParts;
  readonly #plugins: Plugin[] = [];
  readonly #adminRoutes: AdminRoute[] = [];
  readonly #metricsPages = new Map<string, MetricsPageOptions>();
  readonly #statusPages = new Set<string>();
  readonly #settings: Settings = { lameduckMs: 0, reload: undefined, isDebug: false };
  readonly #zones = new Map<string, Zone[]>();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #tcpTimeouts: (TcpTimeouts | undefined)[] = [];
  readonly #enabled: ServerConfig['enabled'][number][] = [];

  constructor(corefile: Corefile, parts: ServerConfigParts) {
    this.#corefile = corefile;
    this.#parts = parts;
  }

  run(): ServerConfig {
    for (const error of directiveErrors(this.#corefile, SUPPORTED)) this.#refuse(error);
    const placed = this.#corefile.blocks.flatMap(
      (block) => this.#attempt(() => this.#place(block)) ?? [],
    );
    for (const block of placed) this.#addBlock(block);
    return {
      corefile: this.#corefile,
      endpoints: [...this.#endpoints.values()],
      tables: tablesOf([...this.#endpoints.values()], this.#zones, this.#parts),
      tcpTimeouts: this.#tcpTimeouts,
      plugins: this.#plugins,
      adminRoutes: this.#adminRoutes,
      metricsPages: this.#metricsPages,
      hasExemplars: this.#plugins.some(({ name }) => name === 'trace'),
      statusPages: this.#statusPages,
      settings: this.#settings,
      enabled: this.#enabled,
    };
  }

  #refuse(error: unknown): void {
    const { onError } = this.#parts;
    if (onError === undefined || !(error instanceof ConfigError)) throw error;
    onError(error);
  }

  #attempt<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.#refuse(error);
      return undefined;
    }
  }

  #place(block: Block): Placed {
    for (const key of block.keys) {
      if (key.scheme === 'dns') continue;
      throw new ConfigError(
        key.place,
        `${key.scheme}:// listeners are not in nodens: pods of the node ask in plain DNS, so name the zone without scheme`,
      );
    }
    const bound = bindAddresses(block, this.#parts.interfaces);
    const addresses = bound.length === 0 ? [EVERY_ADDRESS] : bound;
    const ports = new Set(block.keys.map((key) => key.port));
    const endpoints = [...ports].flatMap((port) => addresses.map((address) => ({ address, port })));
    for (const endpoint of endpoints) this.#endpoints.set(formatEndpoint(endpoint), endpoint);
    return { block, endpoints, addresses };
  }

  #addBlock({ block, endpoints, addresses }: Placed): void {
    const zones = [...new Set(block.keys.map((key) => key.zone))];
    const ordered = inChainOrder(block);
    const cacheAt = ordered.findIndex((directive) => directive.name === 'cache');
    const context: BlockContext = {
      id: this.#parts.identities.idOf(block, addresses),
      zones,
      view: viewNameOf(block),
      belowCache: fingerprint(ordered.slice(cacheAt + 1)),
      servers: endpoints.map((endpoint) => this.#parts.label(endpoint)),
      listening: [...this.#endpoints.keys()],
      nodeAddresses: () => [...this.#parts.interfaces().values()].flat(),
    };
    let isMeasured = false;
    const services: Services = {
      ...this.#parts.shared,
      block: context,
      taps: { forwarded: undefined },
      admin: this.#admin(),
      process: this.#process(context.servers, () => {
        isMeasured = true;
      }),
    };
    const plugins = ordered.flatMap((directive) => this.#setUp(directive, block, services) ?? []);
    this.#plugins.push(...plugins);
    const chain: Chain = {
      handler: compose(plugins, refuse),
      anyClass: plugins.some(({ name }) => name === 'forward' || name === 'chaos'),
      accepts: acceptanceOf(plugins),
      block: routedBlock(block, context, plugins),
    };
    for (const key of block.keys)
      this.#attempt(() =>
        this.#addZone(key, endpoints, { ...chain, view: context.view, isMeasured }, plugins),
      );
  }

  /** Where errors are collected, again without the line that is wrong, until nothing is wrong or nothing is left. */
  #setUp(directive: Directive, block: Block, services: Services): Plugin | undefined {
    for (let rest: Directive | undefined = directive; rest !== undefined; ) {
      try {
        return setUp(rest, block, services);
      } catch (error) {
        this.#refuse(error);
        rest = withoutLine(rest, (error as ConfigError).place);
      }
    }
    return undefined;
  }

  #admin(): AdminRoutes {
    return {
      add: (address, path, handler) => {
        this.#adminRoutes.push({ address, path, handler });
      },
      addMetrics: (address, { isOlder }) => {
        const isOlderBefore = this.#metricsPages.get(address)?.isOlder === true;
        this.#metricsPages.set(address, { isOlder: isOlder || isOlderBefore });
      },
      addStatus: (address) => {
        this.#statusPages.add(address);
      },
    };
  }

  #process(servers: readonly ServerLabel[], measureTraffic: () => void): ProcessSettings {
    const settings = this.#settings;
    return {
      lameduck: (durationMs) => {
        settings.lameduckMs = durationMs;
      },
      reload: (intervalMs, jitterMs) => {
        settings.reload = { intervalMs, jitterMs };
      },
      debug: () => {
        settings.isDebug = true;
      },
      measureTraffic,
      tcpTimeouts: (timeouts) => {
        for (const { index } of servers)
          this.#tcpTimeouts[index] = { ...this.#tcpTimeouts[index], ...timeouts };
      },
      unready: () => this.#unready(),
    };
  }

  #unready(): string[] {
    const unready = this.#plugins.filter((plugin) => plugin.ready?.() === false);
    return [...this.#parts.notReadyReasons(), ...unready.map(({ name }) => name)];
  }

  #addZone(
    key: BlockKey,
    endpoints: readonly Endpoint[],
    chain: Chain & Pick<Zone, 'view' | 'isMeasured'>,
    plugins: readonly Plugin[],
  ): void {
    const { zone, place } = key;
    const { view } = chain;
    for (const endpoint of endpoints.filter((candidate) => candidate.port === key.port)) {
      const server = this.#parts.label(endpoint);
      const at = formatEndpoint(endpoint);
      const zones = this.#zones.get(at) ?? [];
      this.#zones.set(at, zones);
      if (zones.some((one) => one.zone === zone && one.view === '')) {
        throw new ConfigError(
          place,
          `zone ${zone} is already served on ${server.label}: a block with a view goes before it`,
        );
      }
      zones.push({ zone, place, ...chain });
      for (const { name } of plugins) {
        if (name !== 'bind') this.#enabled.push({ server: server.label, zone, view, name });
      }
    }
  }
}

function setUp(directive: Directive, block: Block, services: Services): Plugin {
  const found = PLUGINS.find(({ name }) => name === directive.name);
  if (found === undefined) throw new ConfigError(directive.place, `no plugin ${directive.name}`);
  return found.setup(directive, block, services);
}
