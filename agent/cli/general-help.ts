/** Output of `nodens --help`. */
import { COMMANDS } from '../base/commands/table.ts';
import type { CommandInfo } from '../base/commands/types.ts';
import { flagHelp } from '../base/flags/help.ts';

const NAMES = COMMANDS.map(({ command }) => command).join('|');

/** The line that a wrong command line gets on standard error. */
export const USAGE = `usage: nodens [${NAMES}] [-flag value …]; nodens --help explains`;

/** All commands, and the flags of the drop-in. */
export const GENERAL_HELP = `nodens: a DNS cache on every Kubernetes node

  nodens                     serve this machine on 127.0.0.1:1053 without any configuration
  nodens -localip … -conf …  drop-in for node-local-dns: init and agent in one container
  nodens agent [-flag …]     resolver only: answers DNS queries, needs CAP_NET_BIND_SERVICE
  nodens init [-flag …]      network set-up only: addresses and interception rules, needs CAP_NET_ADMIN
  nodens init -cleanup       remove addresses and rules of nodens, and what a dead node-local-dns left
${COMMANDS.slice(2).map(lineOf).join('\n')}
  nodens -plugins            list the plugins
  nodens -version            print the version

\`nodens COMMAND --help\` lists the flags of a command. A flag takes one dash or two; its value follows
after a space or an equals sign. Flags of the drop-in (first line with -localip):

${flagHelp('drop-in')}`;

function lineOf({ command, usage, summary }: CommandInfo): string {
  const short = usage.length > 14 ? '…' : usage;
  return `  ${`nodens ${command} ${short}`.padEnd(26)} ${summary}`;
}
