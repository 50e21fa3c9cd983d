/**
 * Shows init's reports in the agent's metrics and endpoints: errors since init's start, and the state of interception.
 */
import type { Clock } from '../base/clock.ts';
import { type InterceptionState, SETUP_ERROR_TYPES, type SetupErrorType } from '../base/control.ts';
import type { Logger } from '../query/services/log.ts';
import type { Metrics } from '../query/services/metrics.ts';
import { InitLink, type InitStatus } from '../server/init-link.ts';
import type { ProcessServices } from './process-services.ts';

const STATES: readonly InterceptionState[] = ['off', 'waiting', 'intercepting', 'withdrawn'];

/** Callbacks for `InitLink` and `ConfigSource`. */
export interface InitReporter {
  readonly onStatus: (status: InitStatus) => void;
  /** Init is gone and its rules may be as well: the state is unknown, and none is shown until init is back. */
  readonly onGone: () => void;
  /** The kube-dns ConfigMap was invalid: the only setup error that the agent itself detects. */
  readonly configMapFailed: () => void;
}

/**
 * Adds to counters what init reports since its last report; a restart of init, which counts from 0 again, is no
 * decrease. `hasInit`: whether this node has an init; without one there is no state that could be shown, nor one that an
 * alert may miss.
 */
export function initReporter(metrics: Metrics, log: Logger, hasInit: boolean): InitReporter {
  const counter = (errortype: SetupErrorType) =>
    metrics.counter('coredns_nodecache_setup_errors_total', { errortype });
  /** Init's last counts. They restart from 0 with init; a counter must not. */
  const lastCounts = new Map<string, number>();
  const grow = (key: string, counter: { value: number }, total: number): void => {
    const before = lastCounts.get(key) ?? 0;
    counter.value += total < before ? total : total - before;
    lastCounts.set(key, total);
  };
  let state: InterceptionState | undefined;
  const show = (): void => {
    for (const each of STATES) {
      metrics.gauge('nodens_interception_state', { state: each }).value = each === state ? 1 : 0;
    }
  };
  if (hasInit) show();
  return {
    onStatus: (status) => {
      for (const errortype of SETUP_ERROR_TYPES) {
        grow(errortype, counter(errortype), Number(status.setupErrors?.[errortype] ?? 0));
      }
      const { flaps = 0, probeFailures = 0, fallback } = status;
      grow('flaps', metrics.counter('nodens_interception_flaps_total', {}), Number(flaps));
      grow('probes', metrics.counter('nodens_probe_failures_total', {}), Number(probeFailures));
      const packets = metrics.counter('nodens_fallback_packets_total', {});
      grow('fallback', packets, Number(fallback?.packets ?? 0));
      metrics.gauge('nodens_fallback_configured', {}).value = fallback?.configured === true ? 1 : 0;
      if (status.state !== state) {
        log.info({ state: status.state, backend: status.backend }, 'interception changed');
        state = status.state;
        show();
      }
    },
    onGone: () => {
      state = undefined;
      show();
    },
    configMapFailed: () => {
      counter('configmap').value++;
    },
  };
}

export interface LinkParts {
  readonly processServices: Pick<ProcessServices, 'identity' | 'log'>;
  readonly clock: Clock;
  readonly init: InitReporter;
}

/** The agent's connection to init at `path`; undefined without one. */
export function linkToInit(
  path: string | undefined,
  { processServices: { identity, log }, clock, init }: LinkParts,
): InitLink | undefined {
  if (path === undefined) return undefined;
  return new InitLink({
    ...{ path, clock, log, onGone: init.onGone },
    onStatus: (status) => {
      identity.probePorts = status.probePorts;
      init.onStatus(status);
    },
    nonce: identity.nonce,
  });
}
