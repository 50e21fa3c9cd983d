/** Output of `nodens --help`. */
import { flagHelp } from '../base/flags/help.ts';

/** The line that a wrong command line gets on standard error. */
export const USAGE =
  'usage: nodens [agent|init|check|doctor|status|cache|query|explain|observe|top|support] [-flag value …]; nodens --help explains';

/** All commands, and the flags of the drop-in. */
export const GENERAL_HELP = `nodens: a DNS cache on every Kubernetes node

  nodens                     serve this machine on 127.0.0.1:1053 without any configuration
  nodens -localip … -conf …  drop-in for node-local-dns: init and agent in one container
  nodens agent [-flag …]     resolver only: answers DNS queries, needs CAP_NET_BIND_SERVICE
  nodens init [-flag …]      network set-up only: addresses and interception rules, needs CAP_NET_ADMIN
  nodens init -cleanup       remove addresses and rules of nodens, and what a dead node-local-dns left
  nodens check [FILE]        validate a Corefile or manifest, print the effective configuration and warnings
  nodens doctor [-json]      find out whether a query from a pod of this node is answered, and by which server
  nodens status              version, configuration, cache and upstreams of the running agent
  nodens cache …             get, dump, flush and count what the running agent has cached
  nodens query NAME [TYPE]   ask the running agent, with -trace step by step
  nodens explain POD|IP|NAME what a lookup of a pod costs: its questions, what is cached, where they go
  nodens observe [-f]        queries of the running agent as they are answered
  nodens top                 live screen: rates, latency, upstreams, clients, names
  nodens support > FILE      a tar.gz for a bug report, without secrets
  nodens -plugins            list the plugins
  nodens -version            print the version

\`nodens COMMAND --help\` lists the flags of a command. A flag takes one dash or two; its value follows
after a space or an equals sign. Flags of the drop-in (first line with -localip):

${flagHelp('drop-in')}`;
