/** Events of the agent that concern the Kubernetes API. */
import type { LogEvent } from './types.ts';

/** Keyed by the value of the log field `event`. */
export const KUBERNETES_EVENTS = {
  'kubernetes-api': {
    level: 'warn or info',
    meaning:
      'The agent cannot list or watch objects of the API server (`resource`, `server`), or can again. It serves all the ' +
      'while: `autopath` answers what it is asked, and nothing more; `kubernetes` passes queries on to kube-dns.',
    remedy:
      'none if the API server was away for a moment; else see whether the node reaches it, and the RBAC rules of the agent',
    runbook: 'kubernetes-api',
  },
} as const satisfies Record<string, LogEvent>;
