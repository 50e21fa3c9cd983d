/** Composition root: starts in order, reloads on demand, stops in reverse. */
import { rmSync } from 'node:fs';
import { type Clock, sleep, type Timer } from '../base/clock.ts';
import { messageOf, NetworkError } from '../base/errors.ts';
import { clusterDomainsOf } from '../config/cluster-upstream.ts';
import type { Environment } from '../config/corefile/env.ts';
import type { Corefile } from '../config/corefile/types.ts';
import { systemFiles } from '../config/files.ts';
import { watchFiles } from '../config/watch.ts';
import type { InitLink } from '../server/init-link.ts';
import { nodeInterfaces } from '../server/listen/node-addresses.ts';
import { BlockIdentities } from './configuration/block-ids.ts';
import { ConfigReloader, type ReloadReason } from './configuration/config-reloader.ts';
import { ConfigSource } from './configuration/config-source.ts';
import { buildServerConfig, type ServerConfig } from './configuration/server-config-builder.ts';
import { FirstPages } from './first-pages.ts';
import { initReporter, linkToInit } from './init-reporter.ts';
import { watchOwnNetworks } from './node/own-networks.ts';
import { createOperatorViews, type OperatorViews } from './operator-views.ts';
import type { AgentOptions } from './options.ts';
import { createProcessServices, type ProcessServices } from './process-services.ts';
import { waitForUpstreams, zonesToProve } from './self-test.ts';
import { DelayReport, isWorthWaiting } from './start-delay.ts';
import { snapshotFile } from './state/create-snapshot.ts';
import { watchDescriptors } from './state/descriptor-watch.ts';
import type { SnapshotFile } from './state/snapshot-file.ts';
import { writeInPlace } from './state/trusted-file.ts';

/** Retry interval while init has not yet added an address to the node. */
const RETRY_MS = 250;
/** Time for datagrams that were in transit when interception ended. */
const LAST_DATAGRAMS_MS = 100;
/** Maximum wait for queries in flight during a stop; the same as CoreDNS's grace period. */
const DRAIN_MS = 5_000;
const DRAIN_LOOK_MS = 10;

/** One for the process, used once: `start`, any number of `reload`, then `stop`. */
export class Daemon {
  readonly processServices: ProcessServices;
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #reloader: ConfigReloader;
  readonly #source: ConfigSource;
  readonly #initLink: InitLink | undefined;
  readonly #snapshot: SnapshotFile | undefined;
  readonly #views: OperatorViews;
  readonly #pages: FirstPages;
  readonly #descriptorWatch: Timer;
  readonly #networkWatch: Timer;
  #watch: { readonly paths: string; close(): void } | undefined;
  readonly #env: Environment;
  /** Whether kube-dns denies a name that every cluster has. */
  #isDenied = false;
  /** Identifies the proof of the current configuration. */
  #proof: object = {};
  #isListening = false;
  #isStopping = false;

  constructor(options: AgentOptions, clock: Clock, env: Environment) {
    this.#options = options;
    this.#clock = clock;
    this.#env = env;
    const processServices = createProcessServices(options, clock, env);
    this.processServices = processServices;
    const { log, metrics, listeners, dispatcher, traffic, shared, reportLack } = processServices;
    this.#descriptorWatch = watchDescriptors(clock, reportLack);
    this.#networkWatch = watchOwnNetworks(clock);
    const init = initReporter(metrics, log, options.socketPath !== undefined);
    const onProblem = (): void => init.configMapFailed();
    this.#source = new ConfigSource(options, { files: systemFiles, env, log, onProblem });
    const identities = new BlockIdentities((id) => processServices.cache.forgetBlock(id));
    this.#snapshot = snapshotFile(options.snapshotPath, processServices, identities);
    this.#reloader = new ConfigReloader({
      ...{ listeners, dispatcher, clock, log, metrics, reportLack },
      load: () => this.#load(),
      inputs: () => this.#source.inputs,
      buildServerConfig: (corefile) =>
        buildServerConfig(corefile, {
          ...{ shared, identities, interfaces: nodeInterfaces },
          label: (endpoint) => listeners.label(endpoint),
          requestMetrics: (server, zone, view) => traffic.row(server, zone, view),
          notReadyReasons: () => this.#notReadyReasons(),
        }),
      publish: (serverConfig) => this.#publish(serverConfig),
      onReplaced: (serverConfig) => this.#replaced(serverConfig),
    });
    this.#pages = new FirstPages(clock, () => {
      void this.#views.adminSocket?.open();
      return this.#reloader.publish();
    });
    this.#initLink = linkToInit(options.socketPath, { processServices, clock, init });
    const snapshot = this.#snapshot;
    this.#views = createOperatorViews(options, {
      ...{ services: processServices, identities, reloader: this.#reloader, env },
      notReadyReasons: () => this.#notReadyReasons(),
      interception: () => this.#initLink?.state,
      rewriteSnapshot: snapshot === undefined ? undefined : () => snapshot.rewrite(),
    });
  }

  /**
   * Resolves when every listener is bound and every page has been tried. Rejects with ConfigError or NetworkError; if
   * `stop` is called meanwhile, it does either.
   */
  async start(): Promise<void> {
    let serverConfig = await this.#retryStartup(() => this.#reloader.prepare());
    this.#pages.openSoon();
    const restored = this.#snapshot?.load() ?? 0;
    this.#snapshot?.start();
    // Only with init does kube-dns answer meanwhile; without it, waiting would leave no server. An agent with restored
    // answers need not wait for upstreams: it may restart during an outage.
    for (let proved: ServerConfig | undefined; proved !== serverConfig && !this.#isStopping; ) {
      proved = serverConfig;
      await this.#prove(serverConfig, restored > 0);
      // A reload may have fixed it in the meantime.
      serverConfig = this.#reloader.current ?? serverConfig;
    }
    if (this.#isStopping) return;
    await this.#retryStartup(() => this.#listen());
    this.#isListening = true;
    // A reload during the bind brought in a configuration that has not been proved.
    const { current } = this.#reloader;
    if (current !== undefined && current !== serverConfig) void this.#prove(current, true);
    if (this.#options.pidFile !== undefined) this.#writePidFile(this.#options.pidFile);
    this.#initLink?.ready();
    await this.#pages.opened;
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Never rejects: on an error the old configuration stays. */
  reload(reason: ReloadReason): Promise<void> {
    return this.#reloader.reload(reason);
  }

  /**
   * Stops without a gap: not ready, lameduck, init withdraws interception, all queries in flight are answered, sockets
   * close.
   */
  async stop(): Promise<void> {
    const { listeners, log, admin, upstreams, cache, lines } = this.processServices;
    this.#isStopping = true;
    this.#pages.cancel();
    this.#watch?.close();
    const lameduckMs = this.#reloader.current?.settings.lameduckMs ?? 0;
    if (lameduckMs > 0) await sleep(this.#clock, lameduckMs);
    if (this.#initLink !== undefined) {
      const isAcknowledged = await this.#initLink.withdraw();
      log.info({ acknowledged: isAcknowledged }, 'interception withdrawn');
      await sleep(this.#clock, LAST_DATAGRAMS_MS);
    }
    listeners.drain();
    await this.#drained();
    await listeners.close();
    this.#descriptorWatch.cancel();
    this.#networkWatch.cancel();
    this.#initLink?.close();
    this.#reloader.stop();
    this.#views.adminSocket?.close();
    this.#views.statusPage.close();
    await admin.close();
    await upstreams.close();
    await this.#snapshot?.stop();
    cache.close();
    if (this.#options.pidFile !== undefined) rmSync(this.#options.pidFile, { force: true });
    log.info({}, 'stopped');
    log.close();
    lines.flushSync();
  }

  async #drained(): Promise<void> {
    const { listeners } = this.processServices;
    const endMs = this.#clock.nowMs() + DRAIN_MS;
    while (listeners.pending > 0 && this.#clock.nowMs() < endMs) {
      await sleep(this.#clock, DRAIN_LOOK_MS);
    }
  }

  /** If another configuration has replaced this one, there is nothing left to prove. */
  async #prove({ corefile, endpoints }: ServerConfig, isRestored: boolean): Promise<void> {
    if (this.#initLink === undefined) return;
    const { listeners, log, shared } = this.processServices;
    const { knowsKubernetes, upstreamService } = this.#options;
    const proof = {};
    this.#proof = proof;
    this.#isDenied = false;
    await waitForUpstreams(zonesToProve(corefile), {
      ...{ log, clock: this.#clock, resolve: shared.resolve, isRestored },
      isServing: this.#isListening,
      domains: knowsKubernetes ? clusterDomainsOf(corefile, this.#env, upstreamService) : [],
      onDenied: (isDenied) => {
        if (this.#proof === proof) this.#isDenied = isDenied;
      },
      servers: endpoints.map((endpoint) => listeners.label(endpoint)),
      isStopping: () => this.#isStopping || this.#proof !== proof,
    });
  }

  #notReadyReasons(): string[] {
    if (this.#isStopping) return ['shutdown'];
    // All reasons at once, so that one check shows everything that is missing.
    return [
      ...(this.#isDenied ? ['cluster-domain'] : []),
      ...(this.#isListening ? [] : ['listeners']),
      ...(this.#options.hearsInit && this.#initLink?.isAwaited === true ? ['interception'] : []),
    ];
  }

  async #listen(): Promise<void> {
    try {
      await this.#reloader.listen();
    } catch (error) {
      const { metrics } = this.processServices;
      if (error instanceof NetworkError)
        metrics.counter('nodens_listen_errors_total', { errno: error.errno }).value++;
      throw error;
    }
  }

  /** Retries until the attempt succeeds or waiting is pointless. */
  async #retryStartup<Result>(attempt: () => Promise<Result>): Promise<Result> {
    const startMs = this.#clock.nowMs();
    const isBehindInit = this.#initLink !== undefined;
    const report = new DelayReport(this.processServices.log, isBehindInit);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const waitedMs = this.#clock.nowMs() - startMs;
        const isHopeless = !isWorthWaiting(error, waitedMs, isBehindInit);
        if (isHopeless || this.#isStopping) throw error;
        report.log(error, waitedMs);
        await sleep(this.#clock, RETRY_MS);
      }
    }
  }

  async #publish(serverConfig: ServerConfig): Promise<void> {
    const { admin, metricsPages } = this.processServices;
    const { metricsPages: pages, hasExemplars } = serverConfig;
    const { metricsAddress } = this.#options;
    const routes = await metricsPages.routes(pages, metricsAddress, hasExemplars);
    const statusRoutes = this.#views.statusPage.routes(serverConfig.statusPages);
    await admin.reconcile([...routes, ...statusRoutes, ...serverConfig.adminRoutes]);
  }

  /** A reload does not wait for a proof: the old configuration may be wrong as well. */
  #replaced(serverConfig: ServerConfig): void {
    // The configuration to be proved is no longer in force.
    this.#proof = {};
    if (this.#isListening) void this.#prove(serverConfig, true);
  }

  #load(): Corefile {
    try {
      return this.#source.load();
    } finally {
      // Watches the current imports, even if one of them caused a failure.
      this.#rewatch();
    }
  }

  #rewatch(): void {
    const { watched } = this.#source;
    const paths = watched.join('\n');
    if (this.#isStopping || this.#watch?.paths === paths) return;
    this.#watch?.close();
    const watch = watchFiles(watched, this.#clock, () => this.#changed(), {
      onError: (error) =>
        this.processServices.log.warn(
          { event: 'watch-failed' },
          `cannot watch files: ${messageOf(error)}`,
        ),
    });
    this.#watch = { paths, close: () => watch.close() };
  }

  #changed(): void {
    const reloads = this.#reloader.current?.settings.reload !== undefined;
    if (reloads || this.#options.reloadWithSignal) void this.reload('change');
  }

  #writePidFile(path: string): void {
    try {
      writeInPlace(path, `${process.pid}\n`);
    } catch (error) {
      this.processServices.log.warn(
        { event: 'pid-file', path },
        `cannot write the PID file: ${messageOf(error)}`,
      );
    }
  }
}
