/** Events of the agent's log. */
import type { LogEvent } from './types.ts';

/** Keyed by the value of the log field `event`. */
export const AGENT_EVENTS = {
  'start-failed': {
    level: 'error',
    meaning: 'The agent cannot start. It exits with code 1.',
    remedy: 'correct what the message names; the kubelet starts the container again',
    runbook: 'start-failed',
  },
  start: {
    level: 'warn or info',
    meaning: 'The agent cannot listen yet (`errno`) and retries.',
    remedy:
      'EADDRNOTAVAIL: see why init has not put the address on the node; other errors: see the message',
    runbook: 'port-taken',
    ignoresText: true,
  },
  'port-taken': {
    level: 'warn',
    meaning:
      'Another process has port 53 on an address of the agent. kube-dns serves; the agent retries.',
    remedy: 'find the process on the node with ss and have it leave the port',
    runbook: 'port-taken',
    ignoresText: true,
  },
  'each-address': {
    level: 'warn',
    meaning: 'The agent cannot have one socket for all addresses: it opens one for each address.',
    remedy: 'free the port on all addresses, or name addresses with `bind`',
    runbook: 'port-taken',
  },
  'address-not-served': {
    level: 'warn',
    meaning:
      'The agent cannot listen on one address of the node. It serves the others and retries.',
    remedy: "another process has the port there: ss -lntup 'sport = :53' on the node names it",
    runbook: 'port-taken',
  },
  'admin-port': {
    level: 'warn or info',
    meaning: 'A port of /metrics, /health or /ready is not open, or has failed. DNS is served.',
    remedy: 'end the process that has the port, or give these pages another port',
    runbook: 'admin-port',
  },
  'admin-socket': {
    level: 'warn',
    meaning:
      'The agent cannot open its admin socket: `nodens status`, `cache`, `query`, `observe` and `top` do not work.',
    remedy:
      'see the reason: another agent has the socket, its folder is missing, or the user of the agent cannot write there',
    runbook: 'admin-port',
  },
  'self-test': {
    level: 'warn',
    meaning: 'No upstream answers yet: the agent does not listen, kube-dns serves the node.',
    remedy: 'see why the upstreams in the Corefile do not answer from this node',
    runbook: 'upstream-down',
    ignoresText: true,
  },
  'cluster-domain': {
    level: 'error',
    meaning:
      'kube-dns answers NXDOMAIN for `kubernetes.default.svc.DOMAIN`. At a start the agent does not listen and kube-dns ' +
      'serves the node; after a reload the agent continues, and names of the cluster are denied.',
    remedy:
      'correct the cluster domain (CLUSTER_DOMAIN, or the zone in the Corefile) or its upstream (-upstreamsvc, must be ' +
      'kube-dns). Only if kube-dns really does not know this Service: start the agent with -without-kubernetes-service',
    runbook: 'cluster-domain',
    ignoresText: true,
  },
  'init-late': {
    level: 'warn',
    meaning: 'init has not connected within 30 s: the agent is not ready, interception waits.',
    remedy:
      'see the log of nodens init; where no init runs on purpose, start the agent with -without-init',
    runbook: 'agent-not-ready',
    ignoresText: true,
  },
  'init-gone': {
    level: 'warn',
    meaning: 'The agent lost its connection to init. It keeps serving and reconnects.',
    remedy: 'none if init restarts within seconds; else see why the init container ended',
    runbook: 'agent-not-ready',
  },
  'query-failed': {
    level: 'error',
    meaning: 'A query ended in an error, with the reason. Logged where the Corefile says `errors`.',
    remedy: 'look at `upstream`, `phase` and `errno`: they say which upstream failed, and how',
    runbook: 'names-fail',
  },
  'errors-consolidated': {
    level: 'error',
    meaning:
      'Number of queries (`count`) that failed with reasons like one pattern of `errors { consolidate }`.',
    remedy: 'look at the pattern in the message; leave `consolidate` out to see each query',
    runbook: 'names-fail',
  },
  'upstream-down': {
    level: 'warn',
    meaning: 'An upstream failed its health probes. Queries go to the others; probes continue.',
    remedy: 'see whether the upstream runs and whether this node reaches it',
    runbook: 'upstream-down',
  },
  'upstream-name': {
    level: 'warn',
    meaning: 'The host name of an upstream cannot be resolved.',
    remedy:
      'see that the resolvers know the name: option `resolver` of `forward`, else /etc/resolv.conf',
    runbook: 'upstream-down',
  },
  'upstream-file': {
    level: 'warn',
    meaning:
      'A resolv.conf that `forward` reads has no usable nameserver, or lines that are no address.',
    remedy: 'correct the nameserver lines of the file',
    runbook: 'upstream-down',
  },
  'upstream-self': {
    level: 'warn',
    meaning:
      'An upstream is an address on which nodens itself listens: nodens does not forward there.',
    remedy: 'name another upstream in `forward`',
    runbook: 'forwarding-loop',
  },
  'forwarding-loop': {
    level: 'error',
    meaning: 'Queries of a zone come back to nodens: the zone gets SERVFAIL until that ends.',
    remedy: 'correct the upstream of this zone: its resolver forwards to nodens',
    runbook: 'forwarding-loop',
  },
  'loop-check': {
    level: 'warn',
    meaning: 'No upstream answered the loop check of a zone.',
    remedy: 'see whether the upstreams of the zone answer',
    runbook: 'upstream-down',
  },
  'last-known-good': {
    level: 'warn or info',
    meaning:
      'An upstream denies many names at once: their last good answers are kept. At level info: denials count again.',
    remedy: 'ask the upstream directly whether these names exist',
    runbook: 'last-known-good',
    ignoresText: true,
  },
  'client-limited': {
    level: 'warn',
    meaning:
      'A client used more than its share: the agent dropped some of its queries or connections.',
    remedy: 'look at the client (`client`) and at `what`',
    runbook: 'client-limited',
  },
  'local-lack': {
    level: 'error',
    meaning:
      'This node lacks file descriptors, memory, local ports or the address to send from (`what`). No upstream is blamed.',
    remedy: 'raise the limit on the node that `what` names; `address`: correct `source_address`',
    runbook: 'node-resources',
    ignoresText: true,
  },
  'tcp-accept': {
    level: 'warn',
    meaning: 'The agent could not accept a TCP client.',
    remedy: 'see the errors `local-lack` beside it',
    runbook: 'node-resources',
  },
  snapshot: {
    level: 'warn',
    meaning: 'The snapshot of the cache cannot be written or read (`reason`).',
    remedy:
      'none for a damaged or outdated file: the next snapshot replaces it. Else correct the folder',
    runbook: 'snapshot',
    ignoresText: true,
  },
  'reload-refused': {
    level: 'error',
    meaning: 'A changed configuration is wrong: the old one stays in force.',
    remedy:
      'correct the Corefile at the file and line in the message; nodens check FILE validates it',
    runbook: 'corefile-refused',
  },
  'reload-deferred': {
    level: 'warn',
    meaning:
      'A reload failed because this node lacks resources: the old configuration stays, the agent retries.',
    remedy: 'see the errors `local-lack` beside it',
    runbook: 'node-resources',
  },
  'corefile-warning': {
    level: 'warn',
    meaning: 'A line of the Corefile is valid, but has no effect or means something unexpected.',
    remedy: 'correct the line that the message names; nodens check shows all such lines',
    runbook: 'corefile-refused',
  },
  'kube-dns-config': {
    level: 'error',
    meaning:
      'The kube-dns ConfigMap (stub domains, upstream servers) is wrong: its former values stay.',
    remedy: 'correct the ConfigMap kube-dns in kube-system',
    runbook: 'corefile-refused',
  },
  'watch-failed': {
    level: 'warn',
    meaning:
      'The kernel cannot report changes of a file. The agent still finds them when it polls.',
    remedy: 'raise fs.inotify.max_user_watches or max_user_instances on the node',
    runbook: 'corefile-refused',
  },
  'plugin-start': {
    level: 'error',
    meaning: 'A plugin could not start its background work. Queries are served.',
    remedy: 'see the message; please report the line, a plugin reports wrong settings earlier',
    runbook: 'internal-fault',
  },
  'weights-file': {
    level: 'warn',
    meaning: 'The weights file of `loadbalance` is missing or wrong: the former weights stay.',
    remedy: 'correct the file that the message names',
    runbook: 'corefile-refused',
  },
  'hosts-file': {
    level: 'warn',
    meaning:
      'A hosts file is missing or unreadable, or has words that are neither address nor name.',
    remedy: 'correct the file that the message names',
    runbook: 'hosts-file',
  },
  'hosts-refused': {
    level: 'error',
    meaning: 'A hosts file does not fit into the memory for files: its former content stays.',
    remedy:
      'make the file smaller, or raise the memory limit: the files of hosts may take a fifth of it',
    runbook: 'hosts-file',
  },
  'pid-file': {
    level: 'warn',
    meaning: 'The file of -pidfile cannot be written. DNS is served.',
    remedy: 'name a writable path with -pidfile, or leave the flag out',
    runbook: 'corefile-refused',
  },
  'dnstap-connection': {
    level: 'warn',
    meaning: 'The receiver of `dnstap` cannot be reached: messages are dropped, the agent retries.',
    remedy: 'see whether the receiver listens at the address in the Corefile',
    runbook: 'telemetry-lost',
  },
  'trace-export': {
    level: 'warn',
    meaning: 'The collector of `trace` did not take spans: they are lost.',
    remedy: 'see whether the collector answers at the address in the Corefile',
    runbook: 'telemetry-lost',
  },
  'addon-missing': {
    level: 'warn',
    meaning:
      'The native addon cannot be loaded: UDP uses one system call for each datagram, and costs more CPU.',
    remedy: 'use the image that nodens builds: it has the addon for its own Node and libc',
    runbook: 'addon-missing',
  },
  'control-message': {
    level: 'warn',
    meaning: 'A line that is not a message came over the control socket between agent and init.',
    remedy: 'find out which program other than nodens uses the socket',
    runbook: 'agent-not-ready',
  },
  'plugin-failed': {
    level: 'error',
    meaning: 'A plugin failed on a query in an unexpected way: the client gets SERVFAIL.',
    remedy: 'please report the line with its `stack`',
    runbook: 'internal-fault',
  },
  'refresh-failed': {
    level: 'error',
    meaning: 'A background refresh of a cached name failed in an unexpected way.',
    remedy: 'please report the line',
    runbook: 'internal-fault',
  },
  fault: {
    level: 'error',
    meaning: 'A bug in nodens. The agent continues.',
    remedy: 'please report the line with its `stack`',
    runbook: 'internal-fault',
    ignoresText: true,
  },
} as const satisfies Record<string, LogEvent>;
