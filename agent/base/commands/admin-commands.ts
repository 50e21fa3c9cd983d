/** Commands that ask the running agent, in the order of the help. */
import { COMMON_EXIT_CODES, type CommandInfo } from './types.ts';

/** What each prints with `--help`. */
export const ADMIN_COMMAND_INFO: readonly CommandInfo[] = [
  {
    command: 'status',
    summary: 'version, configuration, cache and upstreams of the running agent',
    usage: '',
    text:
      'One screen: version, hash of the configuration and whether the one on disk is in force, interception, listeners,\n' +
      'sizes of the cache, queries, upstreams with their state, worst first.\n\n' +
      'With -all: every node of the cluster, worst first, as the API server sees its pods: ready means that the agent\n' +
      'answers and init intercepts. It needs list of pods in the namespace (and of daemonsets, to know how many there\n' +
      'should be); no pod is asked. `kubectl nodens status` does the same with what kubectl has to log in.',
    examples: [
      ['nodens status', 'one screen'],
      ['nodens status -json', 'the same for a script'],
      ['kubectl exec POD -c agent -- nodens status', 'of a pod'],
      ['nodens status -all -wait', 'of the cluster, after a rollout'],
    ],
    exitCodes:
      'Exit code: 0 ready and the configuration on disk is in force (-all: every node is ready and up to date), 1 not,\n' +
      '2 wrong usage, 3 no agent answers on the admin socket, or the API server cannot be read.',
  },
  {
    command: 'cache',
    summary: 'get, dump, flush and count what the running agent has cached',
    actions: ['get', 'dump', 'flush', 'stats'],
    usage:
      'get NAME [TYPE] | dump [ZONE] | flush NAME [TYPE] | flush -zone ZONE | flush -all | stats',
    text:
      'get prints what the cache has for a name: answers, denials and remembered failures, fresh and stale, in every block.\n' +
      'dump prints one line for each entry of a zone, or of the whole cache.\n' +
      'flush removes entries: the answer with its stale copy, denials of the name and of names above it that deny it,\n' +
      'remembered failures, and their place in the snapshot, so that a restart does not bring them back.\n' +
      'stats prints sizes and counters.',
    examples: [
      ['nodens cache get web.default.svc.cluster.local', 'everything about a name'],
      ['nodens cache get example.com AAAA -json', 'one type, as JSON with the whole message'],
      ['nodens cache dump cluster.local', 'all names of the cluster'],
      ['nodens cache flush web.default.svc.cluster.local', 'forget a name'],
      ['nodens cache flush -zone example.com', 'forget a name and all names below it'],
      ['nodens cache flush -all', 'forget everything'],
    ],
    exitCodes: `Exit code: 0 done, 1 get or dump found nothing, or flush could not write the snapshot, ${COMMON_EXIT_CODES}`,
  },
  {
    command: 'query',
    summary: 'ask the running agent, with -trace step by step',
    usage: 'NAME [TYPE]',
    text:
      'Asks the running agent as a client would: through the block, the plugins and the cache that serve this name, and\n' +
      'the upstreams if need be. The answer is stored as for any client. Metrics of requests do not count it. -trace\n' +
      'prints what happened on the way: which block and why, plugins that acted, what the cache had and has now, each\n' +
      'attempt at an upstream with its transport and time.',
    examples: [
      ['nodens query kubernetes.default.svc.cluster.local', 'the address'],
      ['nodens query example.com AAAA -trace', 'where the answer comes from'],
      ['nodens query web.default -client 10.0.3.7', 'as a pod gets it, with acl and views'],
    ],
    exitCodes: `Exit code: 0 a response came, whatever its rcode, 1 the agent dropped the query, ${COMMON_EXIT_CODES}`,
  },
  {
    command: 'explain',
    summary: 'what a lookup of a pod costs: its questions, what is cached, where they go',
    usage: 'POD|IP [NAME] | NAME',
    text:
      'Shows what a lookup costs: the search list of the pod, the questions that its C library asks in order, what the\n' +
      'cache has for each, and which block and upstream get the others. No query is sent. A pod is NAME or\n' +
      'NAMESPACE/NAME; its search list is known where `autopath @node` watches the pods. Without it the list is the one\n' +
      'that the kubelet writes by default. Without a name, example.com is explained. Cached in front of upstreams: hit,\n' +
      'nodata (exists, without this type), denied, cut (denied by a name above), failure (remembered SERVFAIL), stale\n' +
      '(for an outage), miss.',
    examples: [
      ['nodens explain shop/web-0 api.example.com', 'what this pod asks for this name'],
      ['nodens explain 10.0.3.7', 'the search list of a pod by its address'],
      ['nodens explain api.example.com -namespace shop', 'as a pod of that namespace, by default'],
    ],
    exitCodes: `Exit code: 0 explained, ${COMMON_EXIT_CODES}`,
  },
  {
    command: 'observe',
    summary: 'queries of the running agent as they are answered',
    usage: '',
    text:
      'Shows queries as they are answered: time, client, where the answer came from, duration, rcode, name, type,\n' +
      'upstream. From: hit, stale, miss (the cache had none), local (a plugin made it), failure, dropped. At most 1,000\n' +
      'queries a second are shown, and as many as the terminal takes; the others are counted. Past queries are not\n' +
      'kept.',
    examples: [
      ['nodens observe -f', 'every query, until interrupted'],
      ['nodens observe -f -client 10.0.3.7', 'what a pod asks'],
      ["nodens observe -f -name '*.example.com' -rcode SERVFAIL", 'which names fail'],
      ['nodens observe -for 1m -slow 50ms -o json', 'a minute of slow queries, as JSON'],
    ],
    exitCodes: `Exit code: 0 at least one query was shown, 1 none, ${COMMON_EXIT_CODES}`,
  },
  {
    command: 'top',
    summary: 'live screen: rates, latency, upstreams, clients, names',
    usage: '',
    text:
      'A live screen: queries a second, hits, misses, stale answers, failures; p50 and p99 of hits and misses; the\n' +
      'cache; upstreams, clients and names with their shares. Keys: q quit, p pause, s next sort column, f flush a\n' +
      'name, / filter clients and names. A client is its pod where autopath watches the pods. The last lines are of the\n' +
      'log. Above 1,000 queries a second, clients, names and percentiles come from a sample. Without a terminal: as\n' +
      'with -once.',
    examples: [
      ['nodens top', 'the screen'],
      ['nodens top -once', 'one picture, for a log or a ticket'],
      ['kubectl exec -it POD -c agent -- nodens top', 'of a pod'],
      ['nodens top -json -interval 10s', 'a JSON object every ten seconds, for a script'],
    ],
    exitCodes: `Exit code: 0 ended by a key or with -once, ${COMMON_EXIT_CODES}`,
  },
  {
    command: 'support',
    summary: 'a tar.gz for a bug report, without secrets',
    usage: '',
    text:
      'Writes a tar.gz for a bug report to standard output, or to the file of -output: versions, command line, status,\n' +
      'cache counters, the last lines of the log, metrics, the effective configuration with its findings, what the\n' +
      'doctor finds. What looks like a secret is removed: tokens, keys, passwords in URLs. It contains names of zones,\n' +
      'addresses of upstreams and names from log lines: look through it before you publish it. In the init container it\n' +
      'has the rules of nodens, and not what only the agent knows (status, cache, log, configuration): a report needs\n' +
      'both. Nothing is changed; the doctor sends a few DNS questions.',
    examples: [
      ['kubectl exec POD -c agent -- nodens support > x.tar.gz', 'from a pod'],
      ['kubectl exec POD -c init -- nodens support > y.tar.gz', 'with the rules of the node'],
      ['nodens support -output /tmp/nodens.tar.gz', 'into a file'],
    ],
    exitCodes:
      'Exit code: 0 complete, 1 something is missing: errors.txt in it says what, 2 wrong usage.',
  },
];
