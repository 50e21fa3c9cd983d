/**
 * Every flag of every command of nodens. The parsers of both programs, `--help` and docs/reference/flags.md are
 * generated from this table: flags of node-local-dns under their own names, and those that only nodens has.
 */
import { ADMIN_SOCKET_ENV } from '../admin-socket.ts';
import { ADMIN_FLAGS } from './admin-flags.ts';
import { INIT_FLAGS } from './init-flags.ts';
import { TOOL_FLAGS } from './tool-flags.ts';
import { ADMIN_COMMANDS, type CommandName, type Flag } from './types.ts';

const AGENT: readonly CommandName[] = ['agent', 'drop-in'];
const BOTH: readonly CommandName[] = ['agent', 'init', 'drop-in'];

const AGENT_FLAGS: readonly Flag[] = [
  {
    name: 'localip',
    value: 'IP,…',
    commands: BOTH,
    help: 'local IPs, IPv4 and IPv6: the link-local address and, unless kube-proxy runs in IPVS mode, the kube-dns VIP',
  },
  {
    name: 'conf',
    value: 'FILE',
    commands: AGENT,
    help: 'Corefile. If the -basecorefile template exists, the agent renders it and writes the result to FILE',
  },
  { name: 'corefile', value: 'FILE', commands: AGENT, help: 'same as -conf; -conf wins' },
  {
    name: 'basecorefile',
    value: 'FILE',
    default: '/etc/coredns/Corefile.base',
    commands: AGENT,
    help: 'Corefile template with __PILLAR__ placeholders',
  },
  {
    name: 'kubednscm',
    value: 'DIR',
    default: '/etc/kube-dns',
    commands: AGENT,
    help: 'where the kube-dns ConfigMap is mounted (stubDomains, upstreamNameservers); may be missing',
  },
  {
    name: 'upstreamsvc',
    value: 'NAME',
    default: 'kube-dns',
    commands: AGENT,
    help: 'Service whose ClusterIP replaces __PILLAR__CLUSTER__DNS__ in the template',
  },
  {
    name: 'without-kubernetes-service',
    commands: AGENT,
    help: 'serve even if kube-dns answers NXDOMAIN for kubernetes.default.svc.DOMAIN',
  },
  {
    name: 'dns.port',
    aliases: ['p', 'port'],
    value: 'PORT',
    default: '53',
    commands: BOTH,
    help: 'DNS port: of zones without a port in the Corefile, and in the interception rules',
  },
  {
    name: 'metrics-listen-address',
    value: 'ADDR',
    default: '0.0.0.0:9353',
    commands: ['drop-in'],
    help: 'second address of /metrics; "" for none',
  },
  {
    name: 'metrics-listen-address',
    value: 'ADDR',
    defaultText: 'none',
    commands: ['agent'],
    help: 'second address of /metrics',
  },
  {
    name: 'prometheus-listen-address',
    value: 'ADDR',
    default: ':9253',
    commands: AGENT,
    help: 'replaces __PROMETHEUS__ENDPOINT__ in the template',
  },
  {
    name: 'health-port',
    value: 'PORT',
    default: '8080',
    commands: BOTH,
    help: 'port of /health on the local IPs: init accepts packets to it; 0 for none',
  },
  {
    name: 'reloadwithsignal',
    commands: AGENT,
    help: 'reload after each change of the configuration, even without the reload plugin',
  },
  {
    name: 'pidfile',
    value: 'FILE',
    commands: AGENT,
    help: 'the agent writes its process ID there when it starts to listen',
  },
  {
    name: 'quiet',
    commands: AGENT,
    help: 'do not log the line that lists listeners and upstreams',
  },
  {
    name: 'memory',
    value: 'SIZE',
    defaultText: "a share of the cgroup's memory limit",
    commands: AGENT,
    help: 'size of the cache in bytes (64Mi, 200M)',
  },
  {
    name: 'node-share',
    value: 'N',
    default: '8',
    commands: AGENT,
    help: 'share of waiting queries and connections for the node itself (host network), in shares of a pod',
  },
  {
    name: 'snapshot',
    value: 'FILE',
    defaultText: 'no snapshot',
    commands: AGENT,
    help: 'keep the cache over restarts: read FILE at the start, write it every minute and at the end',
  },
  {
    name: 'socket',
    value: 'PATH',
    defaultText: '/run/nodens/control.sock',
    commands: [...BOTH, 'doctor'],
    help: 'control socket between agent and init',
  },
  {
    name: 'admin-socket',
    value: 'PATH',
    defaultText: `$${ADMIN_SOCKET_ENV}, else /run/nodens/admin.sock or $XDG_RUNTIME_DIR/nodens/admin.sock`,
    commands: [...AGENT, ...ADMIN_COMMANDS],
    help: "the agent's unix socket for nodens status, cache, query, explain, observe, top and support; '' for none",
  },
  {
    name: 'without-init',
    commands: AGENT,
    help: 'no init runs on this node: the agent is ready as soon as it listens',
  },
];

/** Flags of all commands. Entries for different commands may have the same name. */
export const FLAGS: readonly Flag[] = [
  ...AGENT_FLAGS,
  ...INIT_FLAGS,
  ...TOOL_FLAGS,
  ...ADMIN_FLAGS,
];

/** Flags of `command`, in the order of its help text. */
export function flagsOf(command: CommandName): readonly Flag[] {
  return FLAGS.filter((flag) => flag.commands.includes(command));
}

/** Default of a flag of `command`; undefined if it has none. */
export function defaultOf(command: CommandName, name: string): string | undefined {
  return flagsOf(command).find((flag) => flag.name === name)?.default;
}
