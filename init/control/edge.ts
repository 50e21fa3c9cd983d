/** What init does with sockets, child processes and signals while it runs; tests replace it. */
import type { listenControl } from '../agent/control-socket.ts';
import type { Round } from '../agent/probe.ts';
import type { AgentChild } from '../agent/supervisor.ts';
import type { MonitorOptions } from '../node/monitor.ts';

/** All that `Service` does outside the process, except for short programs and files, see `System`. */
export interface ServiceEdge {
  readonly listen: typeof listenControl;
  /** `startMonitor` on the kernel's notices. */
  readonly monitor: (options: Omit<MonitorOptions, 'subscribe' | 'onBlind'>) => () => void;
  /** One round of probes over all local IPs. Never rejects. */
  readonly probe: () => Promise<Round>;
  /** Whether a query of this node to the local IP reaches an agent. Never rejects. */
  readonly reachesAgent: (localIp: string) => Promise<boolean>;
  readonly signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  /** Drop-in mode: the agent with these arguments, told the path of the control socket, empty for none. */
  readonly startAgent: (args: readonly string[], socketPath: string) => Promise<AgentChild>;
}
