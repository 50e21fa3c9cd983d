/** What the agent is started with. */

export interface AgentOptions {
  /** Empty when the Corefile alone says where to listen. */
  readonly localIps: readonly string[];
  /** Where the Corefile is, or is to be written; undefined: the template alone, or the built-in one. */
  readonly confPath: string | undefined;
  readonly basePath: string;
  readonly kubeDnsDir: string;
  readonly upstreamService: string;
  /** Whether kube-dns has the Service `kubernetes.default`, as every cluster's has. */
  readonly knowsKubernetes: boolean;
  readonly port: number;
  /** Second /metrics address; undefined for none. */
  readonly metricsAddress: string | undefined;
  readonly prometheusAddress: string;
  readonly reloadWithSignal: boolean;
  readonly pidFile: string | undefined;
  readonly isQuiet: boolean;
  /** Where init listens; undefined: no init sets this node up. */
  readonly socketPath: string | undefined;
  /** Whether init can say there what it does: false under a parent that could not listen. */
  readonly hearsInit: boolean;
  readonly memoryBytes: number | undefined;
  /** How many times a pod's share of memory and connections the node itself may hold. */
  readonly nodeShare: number;
  /** Where the cache is kept over restarts; undefined: nowhere. */
  readonly snapshotPath: string | undefined;
}
