/**
 * `npm test`: installs what the tests need, then checks, builds and runs everything; in the end it says what was left
 * out and why. `npm test -- unit` runs one folder, `npm test -- test/unit/query/asked.test.ts` one file.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { hasProgram, installPackages, isRoot, missingPackages } from './support/packages.ts';
import { selectTests, type TestGroup } from './support/tree/selection.ts';

/** No group takes this long on the slowest machine; what hangs must end with an error, and not with the whole run. */
const STEP_MS = 30 * 60_000;

/** Tests that count what is lost under load, and how long a gap is, have the machine to themselves. */
const ALONE =
  /^test\/(hostile\/|netns\/(fault\/(alone|flood|flush|hang|rules)|init\/chaos|outage\/|restart\/(fresh|plain|upgrade)))/;

const leftOut: string[] = [];

function step(name: string, command: string, args: readonly string[]): boolean {
  const startMs = performance.now();
  process.stdout.write(`\n── ${name}\n`);
  const { status, signal } = spawnSync(command, args, { stdio: 'inherit', timeout: STEP_MS });
  if (signal !== null) process.stdout.write(`── ${name}: ended by ${signal}\n`);
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(`── ${name}: ${status === 0 ? 'ok' : 'FAILED'} in ${seconds} s\n`);
  return status === 0;
}

function prepare(): void {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (!isRoot || !hasProgram('apt-get')) {
    leftOut.push(`tests that need ${missing.join(', ')}: only root on Debian can install them`);
    return;
  }
  process.stdout.write(`installing ${missing.join(' ')} …\n`);
  installPackages(missing);
}

function runGroup({ name, files }: TestGroup): boolean {
  const alone = files.filter((file) => ALONE.test(file));
  const together = files.filter((file) => !ALONE.test(file));
  const results = [runFiles(name, together, 2), runFiles(`${name} under load`, alone, 1)];
  return results.every(Boolean);
}

function runFiles(name: string, files: readonly string[], concurrency: number): boolean {
  if (files.length === 0) return true;
  return step(name, process.execPath, [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=300000',
    // A test that timed out may leave a socket open, which would keep its file running for ever.
    '--test-force-exit',
    ...files,
  ]);
}

function main(): number {
  const chosen = process.argv.slice(2);
  let groups: TestGroup[];
  try {
    groups = selectTests(chosen, globSync('test/**/*.test.ts').sort());
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  prepare();
  const results = [
    ...(chosen.length > 0 ? [] : [step('lint and types', 'npm', ['run', '--silent', 'lint'])]),
    step('build', 'npm', ['run', '--silent', 'build']),
    ...groups.map(withoutRoot).map(runGroup),
  ];
  for (const reason of leftOut) process.stdout.write(`left out: ${reason}\n`);
  return results.every(Boolean) ? 0 : 1;
}

/** Leaves out what needs root, where there is none. */
function withoutRoot(group: TestGroup): TestGroup {
  const files = group.files.filter((file) => isRoot || !file.startsWith('test/netns/'));
  if (files.length < group.files.length)
    leftOut.push('netns tests: network namespaces and rules need root');
  return { ...group, files };
}

process.exitCode = main();
