/**
 * What agent and init say to each other over the local socket: one JSON object a line. init listens, the agent
 * connects; the end of the connection is the news of the other's death.
 */

/** Kinds of `coredns_nodecache_setup_errors_total` (node-local-dns's label values). */
export const SETUP_ERROR_TYPES = [
  'iptables',
  'iptables_lock',
  'interface_add',
  'interface_check',
  'configmap',
] as const;
export type SetupErrorType = (typeof SETUP_ERROR_TYPES)[number];

/** State of interception on this node as init sees it. */
export type InterceptionState = 'off' | 'waiting' | 'intercepting' | 'withdrawn';

/**
 * Name by which init asks an agent, on its public sockets, which agent it is: class CH, type TXT, answered with the
 * nonce of its `ready`, at once and without upstreams. An answer without it comes from another server (kube-dns). Only
 * init's probes get it; other programs of the node are told that an agent answers, and pods are refused.
 */
export const PROBE_NAME = 'instance.nodens.';

/** Source ports of init's probes, first and last. */
export interface ProbePorts {
  readonly first: number;
  readonly last: number;
}

/**
 * agent → init. `ready`: the agent answers, intercept; `withdraw`: it is about to stop, take interception away.
 */
export type AgentMessage =
  | { readonly type: 'ready'; readonly nonce: string }
  | { readonly type: 'withdraw' };

/** init → agent. `withdrawn` acknowledges `withdraw`; `status` carries totals since init's start. */
export type InitMessage =
  | { readonly type: 'withdrawn' }
  | {
      readonly type: 'status';
      readonly state: InterceptionState;
      readonly backend: string;
      readonly setupErrors: Readonly<Partial<Record<SetupErrorType, number>>>;
      /** How often interception was withdrawn although the agent lived on: it hung. */
      readonly flaps?: number;
      /** Probes that found no answer although an agent had said that it answers. */
      readonly probeFailures?: number;
      /** To whom the agent may tell its nonce. */
      readonly probePorts?: ProbePorts;
      /** Whether a local IP has a way to kube-dns behind it, and how many packets have gone it. */
      readonly fallback?: { readonly configured: boolean; readonly packets: number };
    };

/**
 * Where init listens by default. Under init as parent the child is told by the environment variable: an empty one says
 * that init could not listen.
 */
export const DEFAULT_CONTROL_SOCKET = '/run/nodens/control.sock';
export const CONTROL_SOCKET_ENV = 'NODENS_CONTROL_SOCKET';

/** One line on the wire. */
export function encodeControl(message: AgentMessage | InitMessage): string {
  return `${JSON.stringify(message)}\n`;
}

const MAX_LINE_CHARS = 4_096;

/**
 * Splits a byte stream into messages. A line that is too long or is not an object with a string `type` goes to
 * `onGarbage` and is skipped.
 */
export function controlDecoder<M extends AgentMessage | InitMessage>(
  onMessage: (message: M) => void,
  onGarbage: (line: string) => void,
): (chunk: string) => void {
  let rest = '';
  /** Whether what comes up to the next newline belongs to a line that was given up. */
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
