/** Selects the subcommand of a command line. One file each, loaded only if needed. */
import { messageOf, NodensError, UsageError } from '../base/errors.ts';
import { nearest } from '../base/text/nearest.ts';
import { GENERAL_HELP, USAGE } from './general-help.ts';

type Subcommand = (argv: readonly string[]) => Promise<number>;

const SUBCOMMANDS: Readonly<Record<string, () => Promise<Subcommand>>> = {
  agent: async () => (await import('./agent.ts')).agentCommand,
  cache: async () => (await import('./commands/cache.ts')).cacheCommand,
  check: async () => (await import('./check.ts')).checkCommand,
  completion: async () => (await import('./completion/completion.ts')).completionCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  explain: async () => (await import('./commands/explain.ts')).explainCommand,
  init: async () => (await import('./init.ts')).initCommand,
  observe: async () => (await import('./commands/observe.ts')).observeCommand,
  query: async () => (await import('./commands/query.ts')).queryCommand,
  status: async () => (await import('./commands/status.ts')).statusCommand,
  support: async () => (await import('./support/support.ts')).supportCommand,
  top: async () => (await import('./commands/top/top.ts')).topCommand,
};

/**
 * Runs the command line; resolves to the exit code: 0 success, 1 could not start, serve or validate, 2 wrong usage, 3 no
 * agent answers on the admin socket.
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await run(argv);
  } catch (error) {
    process.stderr.write(`nodens: ${messageOf(error)}\n`);
    if (error instanceof UsageError) {
      process.stderr.write(`${usageOf(argv[0])}\n`);
      return 2;
    }
    if (!(error instanceof NodensError) && error instanceof Error) {
      process.stderr.write(`${error.stack ?? ''}\n`);
    }
    return 1;
  }
}

/** Where the operator reads on: in the help of the command, if it is one. */
function usageOf(command = ''): string {
  return Object.hasOwn(SUBCOMMANDS, command) ? `nodens ${command} --help explains` : USAGE;
}

async function run(argv: readonly string[]): Promise<number> {
  const [first = '', ...rest] = argv;
  if (first === 'help' || /^--?(help|h)$/.test(first)) return print(GENERAL_HELP);
  if (/^--?(version|v)$/.test(first) || first === 'version') return print(await versionText());
  if (/^--?plugins$/.test(first)) return print(await pluginList());
  if (argv.length === 0) return await (await import('./agent.ts')).standaloneCommand();
  if (first.startsWith('-')) return await (await import('./dropin.ts')).dropinCommand(argv);
  const load = Object.hasOwn(SUBCOMMANDS, first) ? SUBCOMMANDS[first] : undefined;
  if (load === undefined) throw unknownSubcommand(first);
  return await (await load())(rest);
}

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

async function versionText(): Promise<string> {
  const { VERSION } = await import('./version.ts');
  return `nodens ${VERSION} (node ${process.versions.node}, ${process.platform}/${process.arch})`;
}

async function pluginList(): Promise<string> {
  const { PLUGINS } = await import('../plugins/order.ts');
  return ['Server types:', '  dns', '', 'Other plugins:']
    .concat(PLUGINS.map((plugin) => `  dns.${plugin.name}`).sort())
    .join('\n');
}

function unknownSubcommand(word: string): UsageError {
  const meant = nearest(word, Object.keys(SUBCOMMANDS));
  const hint = meant === undefined ? '' : `: did you mean "${meant}"?`;
  return new UsageError(`unknown command "${word}"${hint}`);
}
