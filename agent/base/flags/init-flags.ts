/** Flags of init only. */
import type { CommandName, Flag } from './types.ts';

const INIT: readonly CommandName[] = ['init', 'drop-in'];

/** Modes of `nodens init`. Without one, init keeps running and maintains addresses and rules. */
export const INIT_MODES = ['once', 'cleanup', 'observe'] as const;

/** In the order of the help text. `nodens init` has all of them, the drop-in those whose `commands` include it. */
export const INIT_FLAGS: readonly Flag[] = [
  {
    name: 'once',
    commands: ['init'],
    help: 'set up and exit: intercepts for pods only, while the agent has a socket on the local IP',
  },
  {
    name: 'cleanup',
    commands: ['init'],
    help: 'remove all addresses and rules of nodens and of a dead node-local-dns, and exit',
  },
  {
    name: 'observe',
    commands: ['init'],
    help: 'print the addresses and rules that init would install, change nothing, and exit',
  },
  {
    name: 'supervise',
    commands: ['init'],
    help: 'run the agent as unprivileged child, with the arguments after --',
  },
  {
    name: 'setupinterface',
    default: 'true',
    commands: INIT,
    help: 'put the local IPs on the node',
  },
  {
    name: 'setupiptables',
    default: 'true',
    commands: INIT,
    help: 'install the interception rules, by nft or iptables',
  },
  {
    name: 'interfacename',
    value: 'NAME',
    default: 'lo',
    commands: INIT,
    help: 'link for the local IPs; init makes a dummy link if it is missing',
  },
  {
    name: 'syncinterval',
    value: 'TIME',
    default: '60s',
    commands: INIT,
    help: 'how often init checks addresses and rules; 60, 60s and 1m mean the same',
  },
  {
    name: 'skipteardown',
    commands: INIT,
    help: 'leave the query rules for pods in place on exit; they match only while a socket listens',
  },
  {
    name: 'statedir',
    value: 'DIR',
    defaultText: 'init leaves all folders alone',
    commands: INIT,
    help: "folder of -snapshot on the node: init makes it writable for the agent's user",
  },
  {
    name: 'backend',
    value: 'NAME',
    default: 'auto',
    commands: INIT,
    help: 'program that installs the rules: auto, nft or iptables',
  },
  {
    name: 'clusterdns',
    value: 'IP,…',
    defaultText: '$KUBE_DNS_SERVICE_HOST, else the local IP that is not link-local',
    commands: INIT,
    help: 'ClusterIPs of kube-dns for the fallback, one of a family',
  },
  {
    name: 'fallback-service',
    value: 'NAME',
    default: 'nodens-endpoints.kube-system.svc.cluster.local',
    commands: INIT,
    help: "full name of a headless Service of kube-dns: the fallback where kube-proxy's rules are missing; '' for none",
  },
  {
    name: 'fallback-mark',
    value: 'BIT',
    default: '0x1000',
    commands: INIT,
    help: 'bit of the packet mark and of the conntrack mark that the fallback uses',
  },
  {
    name: 'alive-mark',
    value: 'BIT',
    commands: INIT,
    help: 'no effect: accepted because versions before 0.3.0 used it',
  },
  {
    name: 'probe-port',
    value: 'PORT',
    default: '20253',
    commands: INIT,
    help: "first of 8 source ports for init's probes of the agent",
  },
  {
    name: 'force',
    commands: INIT,
    help: 'intercept even beside an eBPF data path or IPVS',
  },
];
