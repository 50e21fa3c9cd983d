/**
 * `nodens check [FILE]`: validates a configuration, prints the effective configuration and warnings. Opens no socket.
 */
import { messageOf, NodensError } from '../base/errors.ts';
import { flagHelp } from '../base/flags/help.ts';
import { withPatterns } from '../config/corefile/pattern.ts';
import { ConfigSource } from '../daemon/configuration/config-source.ts';
import { dryRun } from '../daemon/configuration/dry-run.ts';
import { effectiveCorefile } from '../daemon/configuration/effective.ts';
import { warningsOf } from '../daemon/configuration/warnings.ts';
import { cgroupLimitBytes, fileBudgetBytes, readText } from '../daemon/node/memory.ts';
import { prepareAll } from '../query/plugin.ts';
import { type CheckFlags, readCheckFlags } from './check-flags.ts';
import { readForPlugin, type Subject, subjectOf } from './check-subject.ts';
import type { FlagValues } from './options.ts';
import { agentFlags, firstProcess, given } from './running-agent.ts';

const HELP = `nodens check [FILE]: validates a Corefile or manifest, prints the effective configuration and warnings

FILE is a Corefile or its template, a ConfigMap, or a whole manifest (.yaml, .yml, .json); - reads standard input.
Without FILE: the configuration that \`nodens agent\` would read. In the agent's container the check takes the flags of
the agent that runs there (kubectl exec POD -- nodens check). It opens no socket and changes nothing.

${flagHelp('check')}

Exit code: 0 valid, 1 not valid (with -strict: or with warnings), 2 wrong usage.
`;

/** Output of a command: the process, or a test. */
export interface Output {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/**
 * Resolves to the exit code, 0 or 1 (see the help text). `container` is the command line of the container's first
 * process, whose flags apply if it is an agent. Throws UsageError for wrong flags or an unreadable file.
 */
export async function checkCommand(
  argv: readonly string[],
  { stdout, stderr }: Output = process,
  container: readonly string[] = firstProcess(),
): Promise<number> {
  if (argv.some((word) => /^--?(help|h)$/.test(word))) {
    const more = 'Flags of the agent, instead of those in the manifest:';
    stdout.write(`${HELP}\n${more}\n${flagHelp('agent')}\n`);
    return 0;
  }
  const flags = readCheckFlags(argv);
  const running = agentFlags(container);
  if (running !== undefined && flags.file === undefined)
    stderr.write(`flags of the agent that runs here: ${flagText(running)}\n`);
  const subject = await subjectOf(flags, running);
  const warnings: string[] = [];
  let error: NodensError | undefined;
  try {
    const effective = await examine(subject, flags, warnings);
    if (!subject.options.isQuiet) stdout.write(effective);
  } catch (thrown) {
    if (!(thrown instanceof NodensError)) throw thrown;
    error = thrown;
  }
  for (const text of new Set(warnings)) stderr.write(`warning: ${text}\n`);
  if (error !== undefined) stderr.write(`error: ${messageOf(error)}\n`);
  const isFailed = error !== undefined || (flags.isStrict && warnings.length > 0);
  return isFailed ? 1 : 0;
}

function flagText(flags: FlagValues): string {
  return Object.entries(given(flags))
    .map(([name, value]) => `-${name}=${value}`)
    .join(' ');
}

/** The effective Corefile; warnings go to `warnings`. Throws ConfigError for everything that the agent would refuse. */
async function examine(
  subject: Subject,
  { clusterDomain }: CheckFlags,
  warnings: string[],
): Promise<string> {
  const { options, env, files } = subject;
  const warn = (_fields: unknown, message: string): void => void warnings.push(message);
  const source = new ConfigSource(options, {
    ...{ files, env, isDryRun: true, onProblem: () => {} },
    log: { debug: () => {}, info: () => {}, warn, error: warn },
  });
  const corefile = source.load();
  const plugged = { read: (path: string) => readForPlugin(subject, path), open: subject.open };
  // In a pod: the pod's own limit.
  const roomBytes = fileBudgetBytes(cgroupLimitBytes(readText));
  const run = await withPatterns(() => dryRun(corefile, plugged, roomBytes));
  await prepareAll(run.serverConfig.plugins, 'at once');
  warnings.push(...run.warnings);
  for (const name of run.foreignInterfaces)
    warnings.push(`bind ${name}: taken for an interface of the node, this machine has none`);
  for (const { place, text } of warningsOf(run, `${clusterDomain}.`))
    warnings.push(`${place.file}:${place.line}: ${text}`);
  return effectiveCorefile(run);
}
