/**
 * `npm run bench`: nodens beside other resolvers and a baseline, in one run. `--quick` takes two minutes and writes no
 * page unless `--page` asks for it; `--rounds N`; `--only NAME,…` picks scenarios, `memory`, `start`, `scrape` and those of
 * `OPERATOR_GOALS`, `--subjects NAME,…` the servers.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hasProgram, installPackages, isRoot } from '../support/packages.ts';
import { chart } from './chart.ts';
import { goalCells } from './goals.ts';
import { type MeasuredGoal, memoryGoals, startGoals } from './memory.ts';
import { OPERATOR_GOALS } from './operator.ts';
import { page } from './page.ts';
import { LOAD_CORE } from './process.ts';
import { BUILD, compile } from './programs/compile.ts';
import { cells, flush, footprintCells, type Machine, type Results, tableOf } from './results.ts';
import { type Bench, type Footprint, footprint, runScenarios } from './rounds.ts';
import { SCENARIOS } from './scenarios.ts';
import { measureScrapes } from './scrapes.ts';
import { nodens, PEER_PACKAGES, type Subject, subjects } from './subjects.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const UPSTREAM_PORT = 20_053;

/** Above this load average other programs need the cores. */
const QUIET_LOAD = 0.5;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

function prepare(): void {
  const missing = Object.entries(PEER_PACKAGES).filter(([program]) => !hasProgram(program));
  if (missing.length > 0) {
    const names = missing.map(([, name]) => name);
    if (isRoot && hasProgram('apt-get')) {
      say(`installing ${names.join(' ')} …`);
      installPackages(names);
    } else {
      say(`left out, only root on Debian can install them: ${names.join(', ')}`);
    }
  }
  if (!hasProgram('dnsperf')) throw new Error('dnsperf is needed');
}

function versionOf(program: string, argument: string, pattern: RegExp): string {
  try {
    const text = execFileSync('/bin/sh', ['-c', `${program} ${argument} 2>&1 || true`]).toString();
    return pattern.exec(text)?.[1] ?? '?';
  } catch {
    return '?';
  }
}

function machine(loadBefore: number): Machine {
  const debian: readonly (readonly [string, string, RegExp])[] = [
    ['unbound', '-V', /Version (\S+)/],
    ['dnsmasq', '--version', /version (\S+)/],
    ['pdns_recursor', '--version', /Recursor (\S+)/],
    ['dnsperf', '-h', /Version (\S+)/],
  ];
  return {
    cpu: cpus()[0]?.model.trim() ?? '?',
    cores: cpus().length,
    kernel: release(),
    load: loadBefore,
    node: process.versions.node,
    date: new Date().toISOString().slice(0, 10),
    versions: Object.fromEntries(
      debian
        .filter(([program]) => hasProgram(program))
        .map(([program, argument, pattern]) => [program, versionOf(program, argument, pattern)]),
    ),
  };
}

/** Longest `… / 1.2 ms` or `…, 1.2 / 0.0 ms` of `--trace-gc`, milliseconds. */
function longestPause(trace: string): number {
  const pauses = [...trace.matchAll(/(?:Scavenge|Mark-Compact).*?, ([\d.]+) \/ [\d.]+ ms/g)];
  return Math.max(0, ...pauses.map(([, ms]) => Number(ms)));
}

async function footprints(
  bench: Bench,
  chosen: readonly Subject[],
): Promise<Pick<Results, 'footprints' | 'longestPauseMs' | 'memoryGoals'>> {
  const zipf = SCENARIOS.find(({ name }) => name === 'zipf') as (typeof SCENARIOS)[number];
  const found: Footprint[] = [];
  for (const subject of chosen.filter(({ resolves }) => resolves)) {
    say(`memory of ${subject.name}`);
    const { output: _, ...own } = await footprint(bench, subject, zipf);
    found.push(own);
  }
  say('pauses of nodens');
  const traced = nodens('nodens-traced', { nodeFlags: ['--trace-gc'] });
  const { output } = await footprint(bench, traced, zipf);
  const longestPauseMs = longestPause(readFileSync(output, 'utf8'));
  return { footprints: found, longestPauseMs, memoryGoals: await memoryGoals(bench) };
}

async function operatorGoals(
  bench: Bench,
  only: readonly string[] | undefined,
): Promise<MeasuredGoal[]> {
  const found: MeasuredGoal[] = [];
  for (const [name, measure] of Object.entries(OPERATOR_GOALS))
    if (only?.includes(name) ?? true) found.push(...(await measure(bench)));
  return found;
}

interface Options {
  readonly isQuick: boolean;
  readonly wantsPage: boolean;
  readonly rounds: number;
  readonly only: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      page: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      subjects: { type: 'string' },
    },
  });
  const isWhole = values.only === undefined && values.subjects === undefined;
  return {
    isQuick: values.quick,
    wantsPage: isWhole && (values.page || !values.quick),
    rounds: Number(values.rounds ?? (values.quick ? 1 : 5)),
    only: values.only?.split(','),
    subjects: values.subjects?.split(','),
  };
}

async function startOnly(bench: Bench, only: Options['only']): Promise<Results['memoryGoals']> {
  return only?.includes('start') ? startGoals(bench) : [];
}

async function measured(
  { isQuick, only, subjects: names }: Options,
  bench: Bench,
): Promise<Results> {
  const [loadBefore = 0] = loadavg();
  const all = subjects(compile('baseline'));
  const chosen = all.filter(({ name }) => names?.includes(name) ?? true);
  const scenarios = SCENARIOS.filter(({ name }) => only?.includes(name) ?? true);
  const samples = await runScenarios(bench, chosen, scenarios);
  const { rounds, seconds, soakSeconds } = bench;
  const wantsMemory = only?.includes('memory') ?? true;
  const memory = wantsMemory
    ? await footprints(bench, isQuick ? chosen.filter(({ name }) => name === 'nodens') : chosen)
    : { footprints: [], longestPauseMs: undefined, memoryGoals: await startOnly(bench, only) };
  const hot = SCENARIOS.find(({ name }) => name === 'hot') as (typeof SCENARIOS)[number];
  const wantsScrapes = only?.includes('scrape') ?? true;
  const scrape = wantsScrapes ? await measureScrapes(bench, hot) : undefined;
  const tables = scenarios.map(({ name, title }) => tableOf(name, title, samples));
  return {
    ...{ machine: machine(loadBefore), rounds, seconds, soakSeconds, tables, samples },
    ...memory,
    scrape,
    operatorGoals: await operatorGoals(bench, only),
  };
}

function report(results: Results): void {
  const { load } = results.machine;
  if (load > QUIET_LOAD)
    say(`\nthe machine was busy before the run (load ${load.toFixed(1)}): trust no figure`);
  for (const table of results.tables) say(`\n${table.title}\n${flush(cells(table))}`);
  if (results.footprints.length > 0) say(`\nmemory\n${flush(footprintCells(results))}`);
  const { longestPauseMs } = results;
  if (longestPauseMs !== undefined) say(`longest GC pause ${longestPauseMs.toFixed(1)} ms`);
  const goals = goalCells(results);
  if (goals.length > 1) say(`\n${flush(goals)}`);
  const json = join(BUILD, 'results.json');
  writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
  say(`\nall figures: ${json}`);
}

async function main(): Promise<void> {
  const chosen = options();
  const { isQuick, rounds, wantsPage } = chosen;
  prepare();
  execFileSync('taskset', ['-p', '-c', String(LOAD_CORE), String(process.pid)]);
  const dir = mkdtempSync(join(tmpdir(), 'nodens-bench-'));
  const bench: Bench = {
    ...{ dir, upstreamPort: UPSTREAM_PORT, latencyBinary: compile('latency'), say },
    rounds,
    warmSeconds: isQuick ? 0.3 : 3,
    seconds: isQuick ? 0.8 : 3,
    latencySeconds: isQuick ? 0.4 : 2,
    soakSeconds: isQuick ? 2 : 60,
  };
  let upstream: ChildProcess | undefined;
  try {
    upstream = spawn('taskset', [
      '-c',
      String(LOAD_CORE),
      compile('upstream'),
      String(UPSTREAM_PORT),
    ]);
    const results = await measured(chosen, bench);
    report(results);
    if (wantsPage) {
      writeFileSync(join(root, 'docs/performance.md'), page(results));
      writeFileSync(join(root, 'docs/performance.svg'), chart(results.tables));
      say('written: docs/performance.md, docs/performance.svg');
    }
  } finally {
    upstream?.kill();
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
