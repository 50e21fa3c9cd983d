/**
 * `npm run chaos`: the tests that kill, freeze, upgrade and reload, each repeated far more often than `npm test` repeats
 * them; at the end a table of their measurements.
 */
import { parseArgs } from 'node:util';
import { installPackages, isRoot, missingPackages } from './support/packages.ts';
import { type FilesOutcome, runFiles } from './support/run-files.ts';

interface Step {
  readonly name: string;
  readonly what: string;
  readonly file: string;
  /** What makes the step repeat; undefined for a step that runs once. */
  readonly env?: (rounds: number) => Readonly<Record<string, string>>;
  readonly needsRoot: boolean;
  /** Only with `--soak`. */
  readonly isLong?: boolean;
}

const STORM_SECONDS = 30;
const SOAK_SECONDS = 600;
const START_OUTAGE_SECONDS = 30;
/** Queries a second while kube-dns is rolled: needs an idle machine. */
const ROLL_RATE = 5_000;
/** A set-up and tear-down of init is much shorter than a fault and its recovery. */
const CYCLES_PER_ROUND = 20;

const rounds = (count: number) => ({ NODENS_CHAOS_ROUNDS: `${count}` });

const STEPS: readonly Step[] = [
  {
    ...{ name: 'kill', what: 'kill -9 of agent, init and both, and OOM kills, under load' },
    ...{ file: 'netns/init/chaos.test.ts', env: rounds, needsRoot: true },
  },
  {
    ...{ name: 'alone', what: 'kill -9 of the agent, and a stop, while init hangs' },
    ...{ file: 'netns/fault/alone.test.ts', env: rounds, needsRoot: true },
  },
  {
    ...{ name: 'hang', what: 'frozen, blocked for 10 s, receive queue full, under load' },
    ...{ file: 'netns/fault/hang.test.ts', env: rounds, needsRoot: true },
  },
  {
    ...{ name: 'socket', what: "a client's one socket through withdrawal, death and return" },
    ...{ file: 'netns/fault/socket.test.ts', env: rounds, needsRoot: true },
  },
  {
    ...{ name: 'lock', what: 'the xtables lock held 60 s at start, and at stop' },
    ...{ file: 'netns/fault/lock.test.ts', env: () => rounds(2), needsRoot: true },
  },
  {
    ...{ name: 'flush', what: 'rules flushed, addresses and links removed, under load' },
    ...{ file: 'netns/fault/flush.test.ts', needsRoot: true },
  },
  {
    ...{ name: 'upgrade', what: 'rolling updates under UDP and TCP load' },
    ...{ file: 'netns/restart/upgrade.test.ts', env: rounds, needsRoot: true },
  },
  {
    ...{ name: 'leave', what: 'stop and start under load, without overlap' },
    ...{ file: 'netns/e2e/leave.test.ts', needsRoot: true },
  },
  {
    ...{
      name: 'restart',
      what: 'restarts without overlap, under load and in an outage',
      needsRoot: true,
    },
    ...{ file: 'netns/restart/{outage,plain}.test.ts', env: rounds },
  },
  {
    ...{
      name: 'start',
      what: `a fresh node, its upstream unreachable for ${START_OUTAGE_SECONDS} s`,
    },
    ...{ file: 'netns/restart/{fresh,leftovers,ports}.test.ts', needsRoot: true },
    env: () => ({ NODENS_START_OUTAGE_SECONDS: `${START_OUTAGE_SECONDS}` }),
  },
  {
    ...{ name: 'cycles', what: 'init set up and torn down, rules counted', needsRoot: true },
    file: 'netns/init/run.test.ts',
    env: (count) => ({ NODENS_CHAOS_CYCLES: `${count * CYCLES_PER_ROUND}` }),
  },
  {
    ...{ name: 'outage', what: 'upstreams that become silent, roll and recover', needsRoot: true },
    file: 'netns/outage/*.test.ts',
    env: () => ({ NODENS_ROLL_RATE: `${ROLL_RATE}` }),
  },
  {
    ...{ name: 'reloads', what: `a storm of reloads, ${STORM_SECONDS} s`, needsRoot: false },
    file: 'property/reload-storm.test.ts',
    env: () => ({ NODENS_STORM_SECONDS: `${STORM_SECONDS}` }),
  },
  {
    ...{ name: 'memory', what: `a flood of unique names, ${SOAK_SECONDS / 60} min`, isLong: true },
    file: 'property/memory-soak.test.ts',
    env: () => ({ NODENS_SOAK_SECONDS: `${SOAK_SECONDS}` }),
    needsRoot: false,
  },
  {
    ...{ name: 'flood', what: 'the same at 20,000 a second, in a memory cgroup', isLong: true },
    file: 'netns/fault/flood-cgroup.test.ts',
    env: () => ({ NODENS_FLOOD_SECONDS: `${SOAK_SECONDS}`, NODENS_FLOOD_RATE: '20000' }),
    needsRoot: true,
  },
];

const DEFAULT_ROUNDS = 20;

const HELP = `npm run chaos -- [options] [STEP …]

  --rounds N   how often each fault (default ${DEFAULT_ROUNDS}; npm test: 1 to 3)
  --soak       the steps that take long, too
  --help

steps (all, unless some are named):
${STEPS.map(({ name, what, isLong }) => `  ${name.padEnd(10)} ${what}${isLong === true ? ' (--soak)' : ''}`).join('\n')}
`;

interface Outcome extends FilesOutcome {
  readonly step: Step;
}

async function runStep(step: Step, count: number): Promise<Outcome> {
  process.stdout.write(`\n── ${step.name}: ${step.what}\n`);
  return { step, ...(await runFiles([step.file], step.env?.(count))) };
}

function table(outcomes: readonly Outcome[]): string {
  return outcomes
    .flatMap(({ step, isGood, seconds, measured }) => [
      `${isGood ? 'ok    ' : 'FAILED'} ${step.name.padEnd(10)} ${seconds.toFixed(0).padStart(5)} s  ${step.what}`,
      ...measured.map((line) => `${' '.repeat(27)}${line}`),
    ])
    .join('\n');
}

function prepare(): void {
  const missing = missingPackages();
  if (missing.length > 0 && isRoot) installPackages(missing);
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: `${DEFAULT_ROUNDS}` },
      soak: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const count = Number(values.rounds);
  const unknown = positionals.find((word) => !STEPS.some(({ name }) => name === word));
  if (values.help || unknown !== undefined || !Number.isInteger(count) || count < 1) {
    process.stdout.write(unknown === undefined ? HELP : `unknown step "${unknown}"\n\n${HELP}`);
    return values.help ? 0 : 2;
  }
  prepare();
  const chosen = STEPS.filter(({ name, isLong }) =>
    positionals.length > 0 ? positionals.includes(name) : isLong !== true || values.soak,
  );
  const able = chosen.filter(({ needsRoot }) => isRoot || !needsRoot);
  const outcomes: Outcome[] = [];
  for (const step of able) outcomes.push(await runStep(step, count));
  process.stdout.write(`\n${table(outcomes)}\n`);
  for (const { name } of chosen.filter((step) => !able.includes(step)))
    process.stdout.write(`left out: ${name} (needs root for network namespaces)\n`);
  return outcomes.every(({ isGood }) => isGood) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  process.exitCode = 2;
}
