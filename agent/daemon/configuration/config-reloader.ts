/**
 * Puts configurations into service, one after the other. A reload is one swap: everything new is bound and started,
 * then every next query uses the new chains; queries in flight finish on the old ones. A configuration that cannot be
 * served changes nothing.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { InternalError, messageOf, NetworkError } from '../../base/errors.ts';
import { type Lack, lackOfOpening, type ReportLack, UnreadError } from '../../base/lack.ts';
import { LIMITS } from '../../base/limits.ts';
import { withPatterns } from '../../config/corefile/pattern.ts';
import type { Corefile } from '../../config/corefile/types.ts';
import type { AdjustableLogger } from '../../observe/log/log.ts';
import { type Plugin, prepareAll } from '../../query/plugin.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import type { Dispatcher } from '../../server/dispatch.ts';
import type { Listeners } from '../../server/listeners.ts';
import type { ServerConfig } from './server-config-builder.ts';

/**
 * `load` runs at the start and for every reload; `buildServerConfig` and `publish` at the start, for a changed
 * Corefile, and after a signal.
 */
export interface ConfigReloaderParts {
  /** Reads and parses the configuration. Throws if it is invalid. */
  readonly load: () => Corefile;
  /** Hash of what `load` read last. */
  readonly inputs: () => string;
  /** Builds chains and routes. Throws ConfigError. */
  readonly buildServerConfig: (corefile: Corefile) => ServerConfig;
  readonly listeners: Pick<Listeners, 'open' | 'retain' | 'setTcpTimeouts'>;
  readonly dispatcher: Dispatcher;
  /** Opens the HTTP endpoints of a configuration in place of those before. */
  readonly publish: (serverConfig: ServerConfig) => Promise<void>;
  /** A reload has put this configuration in the place of another one. */
  readonly onReplaced?: (serverConfig: ServerConfig) => void;
  readonly clock: Clock;
  readonly log: AdjustableLogger;
  readonly metrics: Metrics;
  /** Called with the resource that this node lacked for a reload. */
  readonly reportLack?: ReportLack;
}

/** Retry interval of a reload that was put off because the node lacks a resource, milliseconds. */
const AGAIN_MS = 5_000;

/** Why a reload is considered; `signal` reloads even an unchanged Corefile (files it names may have changed). */
export type ReloadReason = 'signal' | 'change' | 'interval';

/** Used once: `prepare`, `listen` and `publish`, any number of `reload`, then `stop`. */
export class ConfigReloader {
  readonly #parts: ConfigReloaderParts;
  #current: ServerConfig | undefined;
  /** Reloads run one after the other. */
  #queue: Promise<void> = Promise.resolve();
  #interval: Timer | undefined;
  /** The next attempt of a reload that was put off. */
  #again: Timer | undefined;
  /** Why that reload was asked for. */
  #deferred: ReloadReason | undefined;
  #isListening = false;
  #isStopped = false;
  /** Input and error of the last failed reload. */
  #failure: string | undefined;

  constructor(parts: ConfigReloaderParts) {
    this.#parts = parts;
  }

  /** The configuration in service; undefined before `prepare`. */
  get current(): ServerConfig | undefined {
    return this.#current;
  }

  /**
   * Puts the first configuration into service without its listeners and admin endpoints: chains run. Rejects with
   * ConfigError.
   */
  async prepare(): Promise<ServerConfig> {
    const { load, buildServerConfig } = this.#parts;
    const corefile = load();
    const first = await withPatterns(() => buildServerConfig(corefile));
    await prepareAll(first.plugins, 'at once');
    this.#takeOver(first);
    return first;
  }

  /** Opens the admin endpoints of the current configuration; a reload does that itself. */
  publish(): Promise<void> {
    const done = this.#queue.then(async () => {
      if (this.#current !== undefined && !this.#isStopped) await this.#parts.publish(this.#current);
    });
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /**
   * Binds the listeners of the current configuration; before this call a reload binds nothing. Rejects with
   * NetworkError (phase `bind`).
   */
  listen(): Promise<void> {
    const done = this.#queue.then(async () => {
      await this.#parts.listeners.open(this.#current?.endpoints ?? []);
      this.#isListening = true;
    });
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /**
   * Reads the configuration again. Never rejects: an error is logged and counted, and the old configuration stays in
   * service.
   */
  reload(reason: ReloadReason): Promise<void> {
    this.#queue = this.#queue.then(() => this.#reload(reason));
    return this.#queue;
  }

  /** Stops the plugins of the current configuration; a later `reload` does nothing. */
  stop(): void {
    this.#isStopped = true;
    this.#interval?.cancel();
    this.#again?.cancel();
    for (const plugin of this.#current?.plugins ?? []) plugin.stop?.();
  }

  async #reload(reason: ReloadReason): Promise<void> {
    if (this.#isStopped) return;
    const { load, metrics, log } = this.#parts;
    try {
      const corefile = load();
      if (reason !== 'signal' && corefile.hash === this.#current?.corefile.hash) {
        metrics.gauge('nodens_config_valid').value = 1;
        this.#failure = undefined;
        return;
      }
      const { endpoints } = await this.#apply(corefile);
      this.#failure = undefined;
      metrics.counter('nodens_config_reloads_total', { result: 'success' }).value++;
      log.info(
        { reason, hash: corefile.hash.slice(0, 16), listeners: endpoints.length },
        'reloaded',
      );
    } catch (error) {
      if (this.#isStopped) return;
      const lack = lackBehind(error);
      if (lack === undefined) this.#failed(reason, messageOf(error));
      else this.#putOff(reason, lack, messageOf(error));
    }
  }

  /** If a resource was lacking, the configuration may be right: it is tried again. */
  #putOff(reason: ReloadReason, { lack, errno }: LackOf, message: string): void {
    const { clock, log, reportLack } = this.#parts;
    reportLack?.(lack, errno, 'reload its configuration');
    log.warn(
      { event: 'reload-deferred', reason },
      `reload deferred, keeping the old configuration: ${message}`,
    );
    // A signal reloads files that have not changed, too: a later change must not take its place.
    const asked = this.#deferred === 'signal' ? 'signal' : reason;
    this.#deferred = asked;
    this.#again?.cancel();
    this.#again = clock.after(AGAIN_MS, () => {
      this.#deferred = undefined;
      void this.reload(asked);
    });
  }

  /** Counts and logs once for each change and for each signal, not at every check of the same file. */
  #failed(reason: ReloadReason, message: string): void {
    const { inputs, metrics, log } = this.#parts;
    metrics.gauge('nodens_config_valid').value = 0;
    const failure = `${inputs()} ${message}`;
    const isKnown = failure === this.#failure && reason !== 'signal';
    this.#failure = failure;
    if (isKnown) return;
    metrics.counter('nodens_config_reloads_total', { result: 'failure' }).value++;
    metrics.counter('coredns_reload_failed_total').value++;
    log.error(
      { event: 'reload-refused', reason },
      `reload refused, keeping the old configuration: ${message}`,
    );
  }

  async #apply(corefile: Corefile): Promise<ServerConfig> {
    const { buildServerConfig, dispatcher, listeners, publish } = this.#parts;
    const next = await withPatterns(() => buildServerConfig(corefile));
    await prepareAll(next.plugins, 'beside queries');
    const previous = this.#current;
    try {
      if (this.#isStopped) throw new InternalError('stopped while a reload was prepared');
      // A new listener answers from its first datagram on, instead of REFUSED until all are bound.
      if (previous !== undefined) dispatcher.swap(filledUp(previous.tables, next.tables));
      if (this.#isListening) await listeners.open(next.endpoints);
    } catch (error) {
      for (const plugin of next.plugins) plugin.discard?.();
      throw error;
    }
    this.#takeOver(next);
    await publish(next);
    this.#parts.onReplaced?.(next);
    if (this.#isListening) await listeners.retain(next.endpoints);
    dispatcher.swap(next.tables);
    this.#retire(previous);
    return next;
  }

  #takeOver(next: ServerConfig): void {
    const { dispatcher, listeners, log } = this.#parts;
    // A listener that is being closed still answers what it has received.
    dispatcher.swap(filledUp(next.tables, this.#current?.tables ?? []));
    log.setLevel(next.settings.isDebug ? 'debug' : 'info');
    listeners.setTcpTimeouts(next.tcpTimeouts);
    startAll(next.plugins, log);
    this.#report(this.#current, next);
    this.#current = next;
    this.#watchInterval(next);
  }

  /** Queries on the old chains end within one deadline. */
  #retire(previous: ServerConfig | undefined): void {
    if (previous === undefined) return;
    this.#parts.clock.after(LIMITS.queryDeadlineMs.default, () => {
      for (const plugin of previous.plugins) plugin.stop?.();
    });
  }

  #watchInterval(serverConfig: ServerConfig): void {
    this.#interval?.cancel();
    const { reload } = serverConfig.settings;
    if (reload === undefined) return;
    const periodMs = reload.intervalMs + (Math.random() - 0.5) * reload.jitterMs;
    this.#interval = this.#parts.clock.every(periodMs, () => void this.reload('interval'));
  }

  #report(previous: ServerConfig | undefined, next: ServerConfig): void {
    const { metrics } = this.#parts;
    for (const labels of previous?.enabled ?? []) metrics.drop('coredns_plugin_enabled', labels);
    for (const labels of next.enabled) metrics.gauge('coredns_plugin_enabled', labels).value = 1;
    const version = (serverConfig: ServerConfig) => ({
      hash: 'sha512',
      value: serverConfig.corefile.hash,
    });
    if (previous !== undefined) metrics.drop('coredns_reload_version_info', version(previous));
    metrics.gauge('coredns_reload_version_info', version(next)).value = 1;
    metrics.gauge('nodens_config_valid').value = 1;
  }
}

interface LackOf {
  readonly lack: Lack;
  readonly errno: string;
}

/** The resource that this node lacked for a configuration that may be right; undefined for other errors. */
function lackBehind(error: unknown): LackOf | undefined {
  if (error instanceof UnreadError) return error;
  if (!(error instanceof NetworkError)) return undefined;
  const { errno } = error;
  const lack = lackOfOpening(errno);
  return lack === undefined ? undefined : { lack, errno };
}

/** `tables`, plus the tables in `others` of listeners that are missing in `tables`. */
function filledUp(
  tables: ServerConfig['tables'],
  others: ServerConfig['tables'],
): ServerConfig['tables'] {
  const length = Math.max(tables.length, others.length);
  return Array.from({ length }, (_, index) => tables[index] ?? others[index]);
}

function startAll(plugins: readonly Plugin[], log: Logger): void {
  for (const plugin of plugins) {
    try {
      plugin.start?.();
    } catch (error) {
      log.error(
        { event: 'plugin-start', plugin: plugin.name },
        `plugin did not start: ${messageOf(error)}`,
      );
    }
  }
}
