/** Shows on our pages what init reports: its errors since its start, and the state of interception. */
import { type InterceptionState, SETUP_ERROR_TYPES, type SetupErrorType } from '../base/control.ts';
import type { Logger, Metrics } from '../query/services.ts';
import type { InitStatus } from '../server/init-link.ts';

const STATES: readonly InterceptionState[] = ['off', 'waiting', 'intercepting', 'withdrawn'];

export interface InitReporter {
  readonly onStatus: (status: InitStatus) => void;
  /** The kube-dns ConfigMap was wrong: the one setup error that happens in the agent. */
  readonly configMapFailed: () => void;
}

export function initReporter(metrics: Metrics, log: Logger): InitReporter {
  const counter = (errortype: SetupErrorType) =>
    metrics.counter('coredns_nodecache_setup_errors_total', { errortype });
  /** What init had counted when it last told us; it starts from 0 when it restarts, a counter must not. */
  const told = new Map<SetupErrorType, number>();
  let state: InterceptionState = 'off';
  const show = (): void => {
    for (const each of STATES) {
      metrics.gauge('nodens_interception_state', { state: each }).value = each === state ? 1 : 0;
    }
  };
  show();
  return {
    onStatus: (status) => {
      for (const errortype of SETUP_ERROR_TYPES) {
        const total = Number(status.setupErrors?.[errortype] ?? 0);
        const before = told.get(errortype) ?? 0;
        counter(errortype).value += total < before ? total : total - before;
        told.set(errortype, total);
      }
      if (status.state !== state) {
        log.info({ state: status.state, backend: status.backend }, 'interception changed');
        state = status.state;
        show();
      }
    },
    configMapFailed: () => {
      counter('configmap').value++;
    },
  };
}
