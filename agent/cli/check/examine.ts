/** Examines one configuration as the agent would load it, and goes on behind each error. */
import { ConfigError, NodensError } from '../../base/errors.ts';
import type { ConfigFiles } from '../../config/corefile/imports.ts';
import { withPatterns } from '../../config/corefile/pattern.ts';
import type { Corefile } from '../../config/corefile/types.ts';
import { ConfigSource } from '../../daemon/configuration/config-source.ts';
import { type DryRun, dryRun } from '../../daemon/configuration/dry-run.ts';
import { effectiveCorefile } from '../../daemon/configuration/effective.ts';
import { type Warning, warningsOf } from '../../daemon/configuration/warnings.ts';
import { wordWarnings } from '../../daemon/configuration/word-warnings.ts';
import { cgroupLimitBytes, fileBudgetBytes, readText } from '../../daemon/node/memory.ts';
import { prepareAll } from '../../query/plugin.ts';
import { readForPlugin, type Subject, UnseenFileError } from '../check-subject.ts';
import type { Findings } from './findings.ts';

/** Syntax errors after which a check gives up: the rest is probably no Corefile. */
const MAX_SYNTAX_ERRORS = 50;

/**
 * The effective Corefile, undefined if the agent would refuse it. `clusterDomain` is lower case, without trailing dot.
 * Throws what is no NodensError.
 */
export async function examine(
  subject: Subject,
  clusterDomain: string,
  findings: Findings,
): Promise<string | undefined> {
  const corefile = load(subject, findings);
  if (corefile === undefined) return undefined;
  const { run, isWhole } = await tryOut(corefile, subject, findings);
  if (!findings.isValid || !isWhole) {
    for (const block of corefile.blocks) addAll(findings, wordWarnings(block));
    return undefined;
  }
  addAll(findings, warningsOf(run, `${clusterDomain}.`));
  return effectiveCorefile(run);
}

function addAll(findings: Findings, warnings: Iterable<Warning>): void {
  for (const { place, text } of warnings) findings.warning(`${place.file}:${place.line}: ${text}`);
}

/** Parses, and parses again without the line of a syntax error; undefined where a brace is wrong, or nothing is left. */
function load(subject: Subject, findings: Findings): Corefile | undefined {
  let { files } = subject;
  for (let errors = 0; errors < MAX_SYNTAX_ERRORS; errors++) {
    try {
      return sourceOf(subject, files, findings).load();
    } catch (error) {
      if (!(error instanceof NodensError)) throw error;
      // A template without a line has fewer blocks than it says: "no server block" follows from the errors before.
      if (errors > 0 && error instanceof ConfigError && error.place.line === 1) return undefined;
      findings.error(error);
      const rest = error instanceof ConfigError ? withoutLine(files, error) : undefined;
      if (rest === undefined) return undefined;
      files = rest;
    }
  }
  return undefined;
}

function sourceOf({ options, env }: Subject, files: ConfigFiles, findings: Findings): ConfigSource {
  const warn = (_fields: unknown, message: string): void => findings.warning(message);
  return new ConfigSource(options, {
    ...{ files, env, isDryRun: true, onProblem: () => {} },
    log: { debug: () => {}, info: () => {}, warn, error: warn },
  });
}

/** `files` with the line of the error empty. Undefined for a line with a brace: what follows would have another meaning. */
function withoutLine(files: ConfigFiles, { place }: ConfigError): ConfigFiles | undefined {
  let lines: string[];
  try {
    lines = files.read(place.file).split('\n');
  } catch {
    return undefined;
  }
  const line = lines[place.line - 1];
  if (line === undefined || line.trim() === '' || /[{}]/.test(line)) return undefined;
  lines[place.line - 1] = '';
  const text = lines.join('\n');
  return { ...files, read: (path) => (path === place.file ? text : files.read(path)) };
}

/** `isWhole` is false if a block could not be built because of a file that only the cluster has. */
async function tryOut(
  corefile: Corefile,
  subject: Subject,
  findings: Findings,
): Promise<{ readonly run: DryRun; readonly isWhole: boolean }> {
  const files = { read: (path: string) => readForPlugin(subject, path), open: subject.open };
  // In a pod: the pod's own limit.
  const roomBytes = fileBudgetBytes(cgroupLimitBytes(readText));
  let isWhole = true;
  const onError = (error: ConfigError): void => {
    if (!(error.cause instanceof UnseenFileError)) {
      findings.error(error);
      return;
    }
    isWhole = false;
    const { file, line } = error.place;
    findings.warning(
      `${file}:${line}: ${error.cause.message}: not checked, and no effective configuration is printed`,
    );
  };
  const run = await withPatterns(() => dryRun(corefile, files, roomBytes, onError));
  for (const plugin of run.serverConfig.plugins)
    await prepareAll([plugin], 'at once').catch((error: unknown) => {
      if (!(error instanceof NodensError)) throw error;
      findings.error(error);
    });
  for (const text of run.warnings) findings.warning(text);
  for (const name of run.foreignInterfaces)
    findings.warning(`bind ${name}: taken for an interface of the node, this machine has none`);
  return { run, isWhole };
}
