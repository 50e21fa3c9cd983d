/** Start options of the agent. */

/** Fixed for the life of the process; the Corefile sets what a reload may change. */
export interface AgentOptions {
  /** Empty if the Corefile alone decides where to listen. */
  readonly localIps: readonly string[];
  /** Path of the Corefile to read or write; undefined: only the template, or the built-in one. */
  readonly confPath: string | undefined;
  readonly basePath: string;
  readonly kubeDnsDir: string;
  readonly upstreamService: string;
  /** Whether kube-dns is expected to know the Service `kubernetes.default`, as in every cluster. */
  readonly knowsKubernetes: boolean;
  readonly port: number;
  /** Second /metrics address; undefined for none. */
  readonly metricsAddress: string | undefined;
  readonly prometheusAddress: string;
  readonly reloadWithSignal: boolean;
  readonly pidFile: string | undefined;
  readonly isQuiet: boolean;
  /** Init's control socket; undefined: no init sets up this node. */
  readonly socketPath: string | undefined;
  /** Whether init can report there: false if the parent could not listen. */
  readonly hearsInit: boolean;
  readonly memoryBytes: number | undefined;
  /** The node's own share of memory and connections, as a multiple of a pod's. */
  readonly nodeShare: number;
  /** File of the cache's snapshot; undefined: none. */
  readonly snapshotPath: string | undefined;
  /** Where the admin socket may be, best first; empty or absent: none. */
  readonly adminSockets?: readonly string[];
  /** Whether the operator named the path of the admin socket. */
  readonly isAdminSocketChosen?: boolean;
}
