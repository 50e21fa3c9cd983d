/** Commands that serve, set up, validate and examine. */
import type { CommandInfo } from './types.ts';

/** Of the shell rather than of DNS. */
export const SHELL_COMMAND_INFO: readonly CommandInfo[] = [
  {
    command: 'completion',
    usage: 'bash|zsh|fish',
    summary: 'a script that completes commands and flags in a shell',
    text: 'Prints a script for the shell. The man pages are in docs/man.',
    examples: [
      ['eval "$(nodens completion bash)"', 'in ~/.bashrc'],
      ['nodens completion zsh > ~/.zfunc/_nodens', 'once, for zsh: the folder must be in fpath'],
      ['nodens completion fish | source', 'in config.fish'],
    ],
    exitCodes: 'Exit code: 0 printed, 2 wrong usage.',
    actions: ['bash', 'zsh', 'fish'],
  },
];

/** What each prints with `--help`. The drop-in is the command line without a command. */
export const PROGRAM_COMMAND_INFO: readonly CommandInfo[] = [
  {
    command: 'agent',
    usage: '',
    summary: 'resolver only: answers DNS queries, needs CAP_NET_BIND_SERVICE',
    text:
      'Answers DNS queries, and changes nothing on the node. Without init (-without-init) it is a plain resolver.\n' +
      'SIGTERM and SIGINT end it in order, SIGUSR1 and SIGHUP reload its configuration.',
    examples: [
      ['nodens agent -conf Corefile -without-init', 'a resolver on this machine'],
      ['nodens agent -localip 169.254.20.10 -conf Corefile', 'beside an init'],
    ],
    exitCodes:
      'Exit code: 0 stopped in order, 1 could not start or serve, 2 wrong usage or a second signal.',
  },
  {
    command: 'init',
    usage: '[-- AGENT-FLAGS]',
    summary: 'network set-up only: addresses and interception rules, needs CAP_NET_ADMIN',
    text:
      'Puts the local IPs on the node and intercepts DNS queries while the agent answers. It keeps running, unless one\n' +
      'of -once, -cleanup and -observe is given. With -supervise it runs the agent as its child, with the flags after\n' +
      '--.',
    examples: [
      ['nodens init -localip 169.254.20.10,10.96.0.10', 'beside an agent'],
      ['nodens init -localip 169.254.20.10 -observe', 'what it would do, without doing it'],
      ['nodens init -cleanup', 'remove addresses and rules of nodens'],
    ],
    exitCodes: 'Exit code: 0 stopped in order, or done, 1 could not, 2 wrong usage.',
  },
  {
    command: 'check',
    usage: '[FILE]',
    summary: 'validate a Corefile or manifest, print the effective configuration and warnings',
    text:
      'FILE is a Corefile or its template, a ConfigMap, or a whole manifest (.yaml, .yml, .json); - reads either from\n' +
      'standard input. A directory means every Corefile and manifest in it. Of a manifest, the pods are looked at as\n' +
      "well. Without FILE: the configuration that `nodens agent` would read. In the agent's container the check takes\n" +
      'the flags of the agent that runs there. It opens no socket and changes nothing.\n\n' +
      "All errors are printed, with file and line; for a manifest, its own line beside that of the ConfigMap's key. A\n" +
      'line may have more errors than the one that is printed. Flags of the agent replace those in the manifest. A file\n' +
      "that a Corefile names and this machine does not have is a warning: the agent's container may have it. In that\n" +
      'container, and for the agent, it is an error.',
    examples: [
      ['nodens check Corefile', 'one file'],
      ['nodens check -json deploy/dns/', 'all of a directory, for a program'],
      ['kubectl kustomize . | nodens check -', 'what would be applied'],
      ['kubectl exec POD -c agent -- nodens check', 'what the running agent reads'],
    ],
    exitCodes: 'Exit code: 0 valid, 1 not valid (with -strict: or with warnings), 2 wrong usage.',
  },
  {
    command: 'doctor',
    usage: '',
    summary: 'find out whether a query from a pod of this node is answered, and by which server',
    text:
      'Is a query from a pod of this node answered, and by which server? Sends a few DNS questions, and changes\n' +
      'nothing.',
    examples: [
      ['kubectl exec POD -c init -- nodens doctor', 'of a node'],
      ['nodens doctor -json', 'facts and findings, for a program'],
    ],
    exitCodes:
      'Exit code: 0 no fault, 1 a warning or something that could not be looked at, 2 a fault or wrong usage.',
  },
];
