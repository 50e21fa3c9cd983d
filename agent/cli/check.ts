/**
 * `nodens check [FILE]`: validates a configuration, prints the effective configuration and warnings. Opens no socket.
 */
import { readFileSync } from 'node:fs';
import { commandHelp } from '../base/commands/table.ts';
import { UsageError } from '../base/errors.ts';
import { flagHelp } from '../base/flags/help.ts';
import { filesIn, isDirectory } from './check/directory.ts';
import { examine } from './check/examine.ts';
import { annotationOf, type Finding, Findings, jsonOf, textOf } from './check/findings.ts';
import { type CheckFlags, readCheckFlags } from './check-flags.ts';
import { isYamlName, subjectOf } from './check-subject.ts';
import type { FlagValues } from './options.ts';
import { agentFlags, firstProcess, given } from './running-agent.ts';

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
    stdout.write(`${commandHelp('check')}\n${more}\n${flagHelp('agent')}\n`);
    return 0;
  }
  const flags = readCheckFlags(argv);
  const running = agentFlags(container);
  if (running !== undefined && flags.file === undefined)
    stderr.write(`flags of the agent that runs here: ${flagText(running)}\n`);
  const isFolder = flags.file !== undefined && flags.file !== '-' && isDirectory(flags.file);
  const reports = isFolder
    ? await checkFolder(flags, flags.file as string, running === undefined)
    : [await checkOne(flags, running)];
  print(reports, flags, isFolder, { stdout, stderr });
  const findings = reports.flatMap((report) => report.findings);
  const isFailed = findings.some(({ severity }) => flags.isStrict || severity === 'error');
  return isFailed ? 1 : 0;
}

function flagText(flags: FlagValues): string {
  return Object.entries(given(flags))
    .map(([name, value]) => `-${name}=${value}`)
    .join(' ');
}

/** Of one Corefile or manifest. */
interface Report {
  /** undefined: what the agent would read. */
  readonly file: string | undefined;
  readonly findings: readonly Finding[];
  /** Undefined for a configuration that is not valid, and for pods without one. */
  readonly effective: string | undefined;
}

async function checkOne(
  flags: CheckFlags,
  running: FlagValues | undefined,
  isElsewhere = running === undefined,
): Promise<Report> {
  const { subject, podWarnings } = await subjectOf(flags, running, isElsewhere);
  const findings = new Findings(subject?.locate);
  for (const { place, message } of podWarnings) findings.warningAt(place, message);
  const effective =
    subject === undefined ? undefined : await examine(subject, flags.clusterDomain, findings);
  const isQuiet = subject?.options.isQuiet === true;
  return { file: flags.file, findings: findings.all, effective: isQuiet ? undefined : effective };
}

/** Manifests without a Corefile and without a pod of nodens are left out, as are templates of Helm. */
async function checkFolder(
  flags: CheckFlags,
  folder: string,
  isElsewhere: boolean,
): Promise<Report[]> {
  const reports: Report[] = [];
  for (const file of filesIn(folder)) {
    try {
      reports.push(await checkOne({ ...flags, file }, undefined, isElsewhere));
    } catch (error) {
      if (!(error instanceof UsageError) || !isYamlName(file)) throw error;
      if (/: not YAML: /.test(error.message) && !readFileSync(file, 'utf8').includes('{{'))
        reports.push({ file, findings: [notYaml(error, file)], effective: undefined });
    }
  }
  if (reports.length === 0)
    throw new UsageError(
      `${folder} has no Corefile, and no manifest with one or with a pod of nodens; for a chart, check what it ` +
        'renders: helm template CHART | nodens check -',
    );
  return reports;
}

function notYaml({ message }: UsageError, file: string): Finding {
  const [, line = '1', text = message] = /:(\d+): (not YAML: [\s\S]*)$/.exec(message) ?? [];
  return { severity: 'error', place: { file, line: Number(line) }, message: text, within: '' };
}

function print(
  reports: readonly Report[],
  { format, values }: CheckFlags,
  isFolder: boolean,
  { stdout, stderr }: Output,
): void {
  const findings = reports.flatMap((report) => report.findings);
  if (format === 'json') {
    const isValid = !findings.some(({ severity }) => severity === 'error');
    const files = reports.map(({ file, effective }) => ({ file, effective }));
    const all = { valid: isValid, findings: findings.map(jsonOf), files };
    stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
    return;
  }
  if (format === 'annotations') {
    for (const finding of findings) stdout.write(`${annotationOf(finding)}\n`);
    return;
  }
  for (const { file, effective, findings: own } of reports) {
    const isValid = !own.some(({ severity }) => severity === 'error');
    if (!isFolder) stdout.write(effective ?? '');
    else if (values.quiet === undefined)
      stdout.write(`${file}: ${isValid ? 'valid' : 'not valid'}\n`);
  }
  for (const finding of findings) stderr.write(`${finding.severity}: ${textOf(finding)}\n`);
}
