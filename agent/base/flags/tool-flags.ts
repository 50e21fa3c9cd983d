/** Flags of the read-only commands. */
import type { Flag } from './types.ts';

/** Flags of `nodens check` and `nodens doctor`. `check` accepts the agent's flags as well. */
export const TOOL_FLAGS: readonly Flag[] = [
  {
    name: 'from-cluster-manifest',
    value: 'FILE',
    commands: ['check'],
    help: 'read FILE as YAML whatever its name is, as kubectl or Helm print it',
  },
  {
    name: 'cluster-domain',
    value: 'NAME',
    defaultText: '$CLUSTER_DOMAIN, or cluster.local',
    commands: ['check'],
    help: 'DNS domain of the cluster',
  },
  { name: 'strict', commands: ['check'], help: 'exit with 1 on warnings, too' },
  { name: 'quiet', commands: ['check'], help: 'do not print the effective configuration' },
  { name: 'json', commands: ['check', 'doctor'], help: 'print facts and findings as JSON' },
  {
    name: 'annotations',
    commands: ['check'],
    help: "print findings as annotations for a forge's CI (GitHub, Forgejo)",
  },
  {
    name: 'localip',
    value: 'IP,…',
    defaultText: 'found on the node',
    commands: ['doctor'],
    help: 'addresses on which nodens answers',
  },
  {
    name: 'kubedns',
    value: 'IP,…',
    defaultText: 'found on the node',
    commands: ['doctor'],
    help: 'ClusterIP of the Service that nodens forwards cluster names to',
  },
  {
    name: 'domain',
    value: 'NAME',
    defaultText: '$CLUSTER_DOMAIN, or cluster.local',
    commands: ['doctor'],
    help: 'DNS domain of the cluster',
  },
  {
    name: 'without-kubernetes-service',
    commands: ['doctor'],
    help: 'kube-dns is not expected to know kubernetes.default.svc.DOMAIN',
  },
  {
    name: 'without-init',
    defaultText: 'as the agent of this container was started',
    commands: ['doctor'],
    help: 'no init runs here: look at the agent and its upstreams, not at rules of the node',
  },
  {
    name: 'port',
    value: 'PORT',
    default: '53',
    commands: ['doctor'],
    help: 'DNS port of nodens',
  },
  {
    name: 'resolvconf',
    value: 'FILE',
    default: '/etc/resolv.conf',
    commands: ['doctor'],
    help: "resolvers of the node, which are nodens' upstreams for names outside the cluster",
  },
  {
    name: 'metrics',
    value: 'ADDR',
    default: '127.0.0.1:9253',
    commands: ['doctor', 'support'],
    help: "address and port of the agent's /metrics",
  },
];
