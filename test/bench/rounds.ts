/** Runs scenarios in interleaved rounds: every subject in turn, so that other work of the machine affects all alike. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, firstAnswer, type Latency, pace, type Throughput } from './load.ts';
import { type Memory, Server } from './process.ts';
import { questionFile, type Scenario } from './scenarios.ts';
import type { Setup, Subject } from './subjects.ts';

/** One subject, one scenario, one round. */
export interface Sample {
  readonly subject: string;
  readonly scenario: string;
  /** CPU per answered question, microseconds. */
  readonly userUs: number;
  readonly sysUs: number;
  readonly qps: number;
  /** Share of the questions without an answer. */
  readonly lostShare: number;
  readonly latency?: Latency;
}

export interface Footprint extends Memory {
  readonly subject: string;
  readonly startMs: number;
}

export interface Bench {
  readonly dir: string;
  readonly upstreamPort: number;
  readonly latencyBinary: string;
  readonly rounds: number;
  /** Load before the first measurement of a scenario: code that is compiled at run time needs it. */
  readonly warmSeconds: number;
  /** Duration of each throughput measurement. */
  readonly seconds: number;
  readonly latencySeconds: number;
  /** Load before memory is measured. */
  readonly soakSeconds: number;
  readonly say: (line: string) => void;
}

export const PACE_QPS = 30_000;
const START_LIMIT_MS = 10_000;
const FIRST_PORT = 20_100;

let nextPort = FIRST_PORT;

export interface Started {
  readonly server: Server;
  readonly port: number;
  readonly startMs: number;
}

export async function start(bench: Bench, subject: Subject, setup: Setup): Promise<Started> {
  const port = nextPort++;
  const dir = join(bench.dir, `${subject.name}-${port}`);
  mkdirSync(dir);
  const place = { dir, port, upstreamPort: bench.upstreamPort, setup };
  const output = setup === 'log' ? '/dev/null' : join(dir, 'output');
  const server = new Server(subject.command(place), output);
  try {
    return { server, port, startMs: await firstAnswer(port, START_LIMIT_MS) };
  } catch (error) {
    await server.stop();
    throw new Error(`${subject.name} does not answer, see ${output}`, { cause: error });
  }
}

/** Milliseconds until a fresh server answers; it is stopped then. */
export async function startMs(bench: Bench, subject: Subject): Promise<number> {
  const { server, startMs } = await start(bench, subject, 'plain');
  await server.stop();
  return startMs;
}

async function measure(
  bench: Bench,
  { server, port }: Started,
  scenario: Scenario,
  file: string,
): Promise<Omit<Sample, 'subject' | 'scenario'>> {
  const { transport, isCached, legs } = scenario;
  if (isCached) await ask({ port, file, transport });
  const before = server.cpu();
  const parts: Throughput[] = [];
  for (const more of legs) {
    parts.push(await ask({ port, file, transport, more, seconds: bench.seconds / legs.length }));
  }
  const after = server.cpu();
  const sum = (field: keyof Throughput): number =>
    parts.reduce((total, part) => total + part[field], 0);
  const completed = sum('completed');
  const sample = {
    userUs: ((after.user - before.user) * 1_000) / completed,
    sysUs: ((after.sys - before.sys) * 1_000) / completed,
    qps: completed / sum('seconds'),
    lostShare: sum('lost') / (completed + sum('lost')),
  };
  if (!scenario.measuresLatency) return sample;
  const asking = { port, file, qps: PACE_QPS, seconds: bench.latencySeconds };
  return { ...sample, latency: await pace(bench.latencyBinary, asking) };
}

function takesPart(subject: Subject, scenario: Scenario): boolean {
  if (!subject.setups.includes(scenario.setup)) return false;
  if (scenario.transport === 'tcp' && !subject.answersTcp) return false;
  return scenario.isCached || subject.resolves;
}

/** The servers of a run, started when first needed and kept: measured code is warm. */
class Field {
  readonly #bench: Bench;
  readonly #running = new Map<string, Started>();
  readonly #broken = new Set<Subject>();
  readonly #warm = new Set<string>();

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** Undefined where the subject does not support it. A subject that fails is reported and omitted from then on. */
  async measure(
    subject: Subject,
    scenario: Scenario,
    files: { readonly warm: string; readonly asked: string },
  ): Promise<Sample | undefined> {
    if (this.#broken.has(subject) || !takesPart(subject, scenario)) return undefined;
    try {
      const started = await this.#started(subject, scenario.setup);
      await this.#warmUp(subject, scenario, started.port, files.warm);
      const sample = await measure(this.#bench, started, scenario, files.asked);
      return { subject: subject.name, scenario: scenario.name, ...sample };
    } catch (error) {
      this.#broken.add(subject);
      const reason = error instanceof Error ? error.message : String(error);
      this.#bench.say(`${subject.name} left out: ${reason}`);
      return undefined;
    }
  }

  async #warmUp(subject: Subject, scenario: Scenario, port: number, file: string): Promise<void> {
    const key = `${subject.name} ${scenario.name}`;
    if (this.#warm.has(key)) return;
    this.#warm.add(key);
    await ask({ port, file, transport: scenario.transport, seconds: this.#bench.warmSeconds });
  }

  async #started(subject: Subject, setup: Setup): Promise<Started> {
    const key = `${subject.name} ${setup}`;
    const started = this.#running.get(key) ?? (await start(this.#bench, subject, setup));
    this.#running.set(key, started);
    return started;
  }

  async stop(): Promise<void> {
    for (const { server } of this.#running.values()) await server.stop();
  }
}

export async function runScenarios(
  bench: Bench,
  subjects: readonly Subject[],
  scenarios: readonly Scenario[],
): Promise<Sample[]> {
  const field = new Field(bench);
  const samples: Sample[] = [];
  try {
    for (const scenario of scenarios) {
      const warm = questionFile(bench.dir, { ...scenario, name: `${scenario.name}-warm` }, 0);
      for (let round = 1; round <= bench.rounds; round++) {
        bench.say(`${scenario.name}, round ${round} of ${bench.rounds}`);
        const asked = questionFile(bench.dir, scenario, round);
        for (const subject of subjects) {
          const sample = await field.measure(subject, scenario, { warm, asked });
          if (sample !== undefined) samples.push(sample);
        }
      }
    }
  } finally {
    await field.stop();
  }
  return samples;
}

/** A fresh process, asked for 10,000 names for a while; then its memory, `settleMs` later. */
export async function footprint(
  bench: Bench,
  subject: Subject,
  scenario: Scenario,
  settleMs = 0,
): Promise<Footprint & { readonly output: string }> {
  const { server, port, startMs } = await start(bench, subject, 'plain');
  try {
    const file = questionFile(bench.dir, scenario, 1);
    await ask({ port, file, transport: 'udp', seconds: bench.soakSeconds });
    const output = join(bench.dir, `${subject.name}-${port}`, 'output');
    await pause(settleMs);
    return { subject: subject.name, startMs, ...server.memory(), output };
  } finally {
    await server.stop();
  }
}
