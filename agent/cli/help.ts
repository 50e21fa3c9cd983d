/** Texts of `--help`, made from the table of flags. */
import { FLAGS, type Flag, type FlagUser } from './flags.ts';

export const USAGE =
  'usage: nodens [agent|init|check|doctor] [-flag value …]; nodens --help explains';

const COLUMNS = 34;

/** One line, or two, for each flag that `user` takes. */
export function flagHelp(user?: FlagUser): string {
  return FLAGS.filter((flag) => user === undefined || flag.users.includes(user))
    .map(describe)
    .join('\n');
}

function describe(flag: Flag): string {
  const names = [flag.name, ...(flag.aliases ?? [])].map((name) => `-${name}`).join(', ');
  const head = `  ${names}${flag.value === undefined ? '' : ` ${flag.value}`}`;
  const fallback = flag.default === undefined ? '' : ` (default ${flag.default})`;
  const gap =
    head.length < COLUMNS ? ' '.repeat(COLUMNS - head.length) : `\n${' '.repeat(COLUMNS)}`;
  return `${head}${gap}${flag.help}${fallback}`;
}

export const GENERAL_HELP = `nodens: a DNS cache on every Kubernetes node

  nodens                     serve this machine on 127.0.0.1:1053, without any configuration
  nodens -localip … -conf …  in place of node-local-dns: sets the node up and serves, one container
  nodens agent [-flag …]     serve only: the unprivileged half
  nodens init [-flag …]      addresses and interception rules only: the half with CAP_NET_ADMIN
  nodens init -cleanup       take everything of nodens, and leftovers of node-local-dns, off the node
  nodens check [FILE]        is this Corefile right, what does it mean, what in it will bite
  nodens doctor [-json]      would a query from a pod of this node be answered, and by whom
  nodens -plugins | -version | -help

Flags take one dash or two, and their value after a space or an equals sign:
${flagHelp()}`;
