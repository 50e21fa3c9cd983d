/**
 * Messages between agent and init over the control socket: one JSON object a line. init listens, the agent connects;
 * the end of the connection means that the other process is gone.
 */

/** Kinds of `coredns_nodecache_setup_errors_total` (node-local-dns's label values). */
export const SETUP_ERROR_TYPES = [
  'iptables',
  'iptables_lock',
  'interface_add',
  'interface_check',
  'configmap',
] as const;
/** Label `errortype` of that series; init counts by it and reports the totals in `status`. */
export type SetupErrorType = (typeof SETUP_ERROR_TYPES)[number];

/** State of interception on this node as init sees it. */
export type InterceptionState = 'off' | 'waiting' | 'intercepting' | 'withdrawn';

/**
 * The name in init's probes to an agent's DNS sockets: class CH, type TXT, answered with the nonce of the agent's
 * `ready` message, at once and without upstreams. An answer without the nonce comes from another server (kube-dns).
 * Only init's probes get it. Other programs of the node only learn that an agent answers, and pods are refused.
 */
export const PROBE_NAME = 'instance.nodens.';

/** Source ports of init's probes, first and last. */
export interface ProbePorts {
  readonly first: number;
  readonly last: number;
}

/** agent → init. `ready`: the agent answers, so intercept; `withdraw`: it is about to stop, so remove interception. */
export type AgentMessage =
  | { readonly type: 'ready'; readonly nonce: string }
  | { readonly type: 'withdraw' };

/** init → agent. `withdrawn` acknowledges `withdraw`; `status` contains totals since init's start. */
export type InitMessage =
  | { readonly type: 'withdrawn' }
  | {
      readonly type: 'status';
      readonly state: InterceptionState;
      readonly backend: string;
      readonly setupErrors: Readonly<Partial<Record<SetupErrorType, number>>>;
      /** How often init withdrew interception from a running agent, because it hung. */
      readonly flaps?: number;
      /** Probes without an answer after an agent had reported that it answers. */
      readonly probeFailures?: number;
      /** Source ports to which the agent may send its nonce. */
      readonly probePorts?: ProbePorts;
      /** Whether the fallback to kube-dns is configured for a local IP, and how many packets have used it. */
      readonly fallback?: { readonly configured: boolean; readonly packets: number };
      /** In the first message of a connection, after a hang: time before the agent may be trusted again; 0 if it is over. */
      readonly hang?: { readonly untilTrustedMs: number };
    };

/**
 * Where init listens by default. If init is the agent's parent, an environment variable contains the path; an empty one
 * means that init could not listen.
 */
export const DEFAULT_CONTROL_SOCKET = '/run/nodens/control.sock';
/** Name of that environment variable. */
export const CONTROL_SOCKET_ENV = 'NODENS_CONTROL_SOCKET';

/** One line on the wire. */
export function encodeControl(message: AgentMessage | InitMessage): string {
  return `${JSON.stringify(message)}\n`;
}

const MAX_LINE_CHARS = 4_096;

/**
 * Splits a byte stream into messages. A line that is too long, or not an object with a string `type`, is passed to
 * `onGarbage` and skipped.
 */
export function controlDecoder<M extends AgentMessage | InitMessage>(
  onMessage: (message: M) => void,
  onGarbage: (line: string) => void,
): (chunk: string) => void {
  let rest = '';
  /** Whether the data up to the next newline belongs to a line that is being skipped. */
  let isSkipping = false;
  const onLine = (line: string): void => {
    const message = line.length > MAX_LINE_CHARS ? undefined : parseLine<M>(line);
    if (message === undefined) onGarbage(line.slice(0, 200));
    else onMessage(message);
  };
  return (chunk) => {
    rest += chunk;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (!isSkipping) onLine(line);
      isSkipping = false;
    }
    if (rest.length > MAX_LINE_CHARS) {
      if (!isSkipping) onGarbage(rest.slice(0, 200));
      isSkipping = true;
      rest = '';
    }
  };
}

function parseLine<M>(line: string): M | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const type = (value as { type?: unknown } | null)?.type;
    return typeof type === 'string' ? (value as M) : undefined;
  } catch {
    return undefined;
  }
}
