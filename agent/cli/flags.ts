/** Every flag of nodens in one table: node-local-dns's by their own names, and ours. */

/** Which command lines take the flag. The drop-in line (no subcommand) takes them all but init's modes. */
export type FlagUser = 'agent' | 'init';

export interface Flag {
  readonly name: string;
  /** Other spellings of the same flag. */
  readonly aliases?: readonly string[];
  /** Word for the value in the help text; undefined for a switch, which takes `=true` or `=false`. */
  readonly value?: string;
  readonly default?: string;
  readonly users: readonly FlagUser[];
  readonly help: string;
}

const AGENT: readonly FlagUser[] = ['agent'];
const INIT: readonly FlagUser[] = ['init'];
const BOTH: readonly FlagUser[] = ['agent', 'init'];

export const FLAGS: readonly Flag[] = [
  {
    name: 'localip',
    value: 'IP,…',
    users: BOTH,
    help: 'addresses that answer the pods: link-local and, with iptables or nftables kube-proxy, the VIP',
  },
  {
    name: 'conf',
    value: 'FILE',
    users: AGENT,
    help: 'Corefile; where -basecorefile exists it is rendered from that, and written here if it can be',
  },
  { name: 'corefile', value: 'FILE', users: AGENT, help: 'the same as -conf, which wins' },
  {
    name: 'basecorefile',
    value: 'FILE',
    default: '/etc/coredns/Corefile.base',
    users: AGENT,
    help: 'Corefile template with __PILLAR__ placeholders',
  },
  {
    name: 'kubednscm',
    value: 'DIR',
    default: '/etc/kube-dns',
    users: AGENT,
    help: 'mounted kube-dns ConfigMap (stubDomains, upstreamNameservers), if it exists',
  },
  {
    name: 'upstreamsvc',
    value: 'NAME',
    default: 'kube-dns',
    users: AGENT,
    help: 'Service whose ClusterIP replaces __PILLAR__CLUSTER__DNS__',
  },
  {
    name: 'without-kubernetes-service',
    users: AGENT,
    help: 'kube-dns does not know the Service kubernetes.default: serve although it denies that name',
  },
  {
    name: 'dns.port',
    aliases: ['p', 'port'],
    value: 'PORT',
    default: '53',
    users: BOTH,
    help: 'port of zones that name none, and of the interception rules',
  },
  {
    name: 'metrics-listen-address',
    value: 'ADDR',
    default: '0.0.0.0:9353',
    users: AGENT,
    help: 'second address of /metrics (drop-in default; "" for none)',
  },
  {
    name: 'prometheus-listen-address',
    value: 'ADDR',
    default: ':9253',
    users: AGENT,
    help: 'replaces __PROMETHEUS__ENDPOINT__ in the template',
  },
  {
    name: 'health-port',
    value: 'PORT',
    default: '8080',
    users: BOTH,
    help: 'port of /health on the local IPs, for the rules',
  },
  {
    name: 'reloadwithsignal',
    users: AGENT,
    help: 'reload after every change of the configuration, with or without the reload plugin',
  },
  { name: 'pidfile', value: 'FILE', users: AGENT, help: 'written when the agent listens' },
  { name: 'quiet', users: AGENT, help: 'no banner' },
  {
    name: 'memory',
    value: 'SIZE',
    users: AGENT,
    help: 'cache size in bytes (64Mi, 200M); default: a share of the memory limit of the cgroup',
  },
  {
    name: 'node-share',
    value: 'N',
    default: '8',
    users: AGENT,
    help: "how many times a pod's share of waiting queries and connections the node itself (host network) may have",
  },
  {
    name: 'snapshot',
    value: 'FILE',
    users: AGENT,
    help: 'keep the cache here over restarts: read at the start, written every minute and on exit; default: not kept',
  },
  { name: 'setupinterface', default: 'true', users: INIT, help: 'put the local IPs on the node' },
  { name: 'setupiptables', default: 'true', users: INIT, help: 'install the interception rules' },
  {
    name: 'interfacename',
    value: 'NAME',
    users: INIT,
    help: 'link for the local IPs; default lo',
  },
  {
    name: 'syncinterval',
    value: 'TIME',
    default: '60s',
    users: INIT,
    help: 'how often addresses and rules are checked: 60, 60s and 1m mean the same',
  },
  { name: 'skipteardown', users: INIT, help: 'leave interception in place on exit' },
  {
    name: 'socket',
    value: 'PATH',
    users: BOTH,
    help: 'local socket between agent and init',
  },
  {
    name: 'without-init',
    users: AGENT,
    help: 'no init sets this node up: wait for none, ready as soon as the agent listens',
  },
  {
    name: 'statedir',
    value: 'DIR',
    users: INIT,
    help: "folder on the node that -snapshot is in: made writable for the agent's user; default: left alone",
  },
  {
    name: 'backend',
    value: 'NAME',
    default: 'auto',
    users: INIT,
    help: 'auto, nft or iptables',
  },
  {
    name: 'clusterdns',
    value: 'IP,…',
    users: INIT,
    help: 'ClusterIP of kube-dns, one of a family: where the fallback leads; mostly found by itself',
  },
  {
    name: 'fallback-service',
    value: 'NAME',
    default: 'nodens-endpoints.kube-system.svc.cluster.local',
    users: INIT,
    help: "full name of a headless Service of kube-dns: where the fallback leads without kube-proxy's rules; '' for none",
  },
  {
    name: 'fallback-mark',
    value: 'BIT',
    default: '0x1000',
    users: INIT,
    help: 'bit of the packet mark and of the conntrack mark that the fallback uses',
  },
  {
    name: 'alive-mark',
    value: 'BIT',
    default: '0x40',
    users: INIT,
    help: 'bit of the packet mark that DNS queries carry for a moment while an agent lives',
  },
  {
    name: 'probe-port',
    value: 'PORT',
    default: '20253',
    users: INIT,
    help: 'first of the 8 source ports of probes of the agent',
  },
  { name: 'force', users: INIT, help: 'intercept beside an eBPF data path or IPVS, too' },
];

/** Modes of `nodens init` that make no sense on a drop-in line. */
export const INIT_MODES = ['once', 'cleanup', 'observe'] as const;
