/** Events of init's log. */
import type { LogEvent } from './types.ts';

/** Keyed by the value of the log field `event`. The agent has `control-message` as well. */
export const INIT_EVENTS = {
  'init-failed': {
    level: 'error',
    meaning: 'init cannot do what its command line asks for. It exits with code 1.',
    remedy: 'correct what the message names; the kubelet starts the container again',
    runbook: 'setup-failed',
  },
  'set-up-failed': {
    level: 'error',
    meaning: 'init cannot put addresses or rules on the node (`what`). It retries.',
    remedy: 'see `error`; nodens doctor on the node shows what is missing',
    runbook: 'setup-failed',
  },
  'interception-limited': {
    level: 'warn',
    meaning: 'init intercepts only in part, or not at all, on this kind of node (`reason`).',
    remedy: 'see docs/environments.md for what works there; --force overrules',
    runbook: 'not-intercepting',
  },
  'cluster-ip': {
    level: 'warn',
    meaning: '`KUBE_DNS_IPS` is not the ClusterIP of kube-dns that the kubelet gives.',
    remedy:
      'set KUBE_DNS_IPS (--clusterdns, --localip) to the ClusterIP in `kubectl -n kube-system get service kube-dns`: ' +
      'until then pods that ask the VIP do not reach nodens, and the fallback has no target',
    runbook: 'cluster-domain',
  },
  'kernel-feature': {
    level: 'warn',
    meaning: 'The kernel rejected an optional feature (`what`). init continues without it.',
    remedy: 'see docs/environments.md for what is lost; a newer kernel or nft has the feature',
    runbook: 'setup-failed',
  },
  'fallback-missing': {
    level: 'warn',
    meaning:
      'A local IP has no fallback (any more): init says which ones have it, and why others do not. Clients of the others ' +
      'have no DNS while the agent does not answer.',
    remedy:
      'read `reason`: a program that was killed needs more memory; without nft there is no fallback',
    runbook: 'fallback-missing',
  },
  'rules-restored': {
    level: 'warn',
    meaning: 'Another program removed addresses or rules (`what`). init put them back.',
    remedy: 'find the program on the node that flushes rules or removes addresses',
    runbook: 'rules-removed',
  },
  'rules-lost': {
    level: 'warn',
    meaning: 'The nft process that owns the query rules ended. init installs them again.',
    remedy: 'find out what killed the process nft; a memory limit that is too small does',
    runbook: 'rules-removed',
  },
  'agent-unresponsive': {
    level: 'warn',
    meaning:
      'The agent did not answer three rounds of probes. init withdrew interception, kube-dns serves.',
    remedy:
      'see whether the agent gets too little CPU; the liveness probe restarts an agent that hangs',
    runbook: 'agent-unresponsive',
  },
  'agent-restart': {
    level: 'warn',
    meaning: 'The agent is unresponsive: init, its parent (drop-in), kills and restarts it.',
    remedy: 'see whether the container gets too little CPU',
    runbook: 'agent-unresponsive',
  },
  'agent-killed': {
    level: 'warn',
    meaning: 'The agent was killed or has crashed. init withdraws interception, kube-dns serves.',
    remedy: 'see the kernel log for an OOM kill; raise the memory limit of the agent',
    runbook: 'agent-killed',
  },
  'agent-start': {
    level: 'error',
    meaning: 'init cannot start the agent as its child (drop-in).',
    remedy: 'see `error`; the image has all that is needed',
    runbook: 'start-failed',
  },
  'agent-privileges': {
    level: 'warn',
    meaning:
      'init cannot change the user of its child (drop-in): the agent keeps the privileges of init.',
    remedy: 'allow SETUID, SETGID and SETPCAP, or use manifests with two containers',
    runbook: 'start-failed',
  },
  'connections-stay': {
    level: 'warn',
    meaning:
      'init could not reset the TCP connections to an agent that hangs, or not empty their set: clients wait longer.',
    remedy:
      'read `error`: to reset, the kernel needs CONFIG_INET_DIAG_DESTROY; to empty the set, nft',
    runbook: 'agent-unresponsive',
  },
  'init-addon': {
    level: 'warn',
    meaning:
      "init's native addon cannot be loaded: init takes more memory, checks its rules every 5 s only, and reaps no " +
      'memory holder of an agent.',
    remedy: 'use the image that nodens builds: it has the addon for its own Node and libc',
    runbook: 'addon-missing',
  },
  'no-control-socket': {
    level: 'warn',
    meaning: 'init cannot open its control socket: it judges the agent by probes alone.',
    remedy: 'see `error`: the folder of --socket must be writable',
    runbook: 'agent-not-ready',
  },
  'control-message': {
    level: 'warn',
    meaning: 'A line that is not a message came over the control socket between agent and init.',
    remedy: 'find out which program other than nodens uses the socket',
    runbook: 'agent-not-ready',
  },
  'state-dir': {
    level: 'warn',
    meaning:
      "init cannot make the snapshot's folder writable for the agent: the cache is not kept.",
    remedy: 'see `error`; or chown the folder to 65532 on the node',
    runbook: 'snapshot',
  },
  'node-local-dns': {
    level: 'warn',
    meaning:
      'A node-local-dns still runs on this node, or its remains cannot be removed. nodens waits.',
    remedy: 'remove the DaemonSet of node-local-dns from this node',
    runbook: 'node-local-dns',
  },
  'old-local-ips': {
    level: 'warn',
    meaning:
      'init cannot yet remove what earlier settings put on the node for other local IPs. It retries.',
    remedy: 'none in most cases: rules go within minutes; conntrack is needed to be faster',
    runbook: 'rules-removed',
  },
  'endpoint-flows': {
    level: 'warn',
    meaning:
      'init cannot end the flows to a kube-dns endpoint that is gone: they stay until conntrack drops them.',
    remedy: 'install the program conntrack in the image of init',
    runbook: 'fallback-missing',
  },
  'dummy-link': {
    level: 'warn',
    meaning: 'The kernel has no dummy links: init puts the local IPs on lo.',
    remedy: 'none; or leave --interfacename out, lo is the default',
    runbook: 'setup-failed',
  },
  'counters-unread': {
    level: 'warn',
    meaning:
      "init cannot read the fallback's counters: `nodens_fallback_packets_total` does not change.",
    remedy: 'see `error`',
    runbook: 'setup-failed',
  },
} as const satisfies Record<string, LogEvent>;
