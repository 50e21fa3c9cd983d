/** A server under test: pinned to one core, measured from /proc with its children and threads. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';

/** Cores of the two sides. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;
/** USER_HZ: the unit of CPU time in /proc on every Linux that Node supports. */
const TICK_MS = 10;
const STOP_MS = 3_000;

export interface CpuMs {
  readonly user: number;
  readonly sys: number;
}

export interface Memory {
  readonly rssMb: number;
  readonly anonymousMb: number;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Fields of /proc/PID/stat from the third on; undefined where the process has ended. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** `pid` and its descendants. */
function family(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat === undefined) continue;
    const parent = Number(stat[1]);
    parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (const one of found) found.push(...(parents.get(one) ?? []));
  return found;
}

/** Time that a process and its descendants have run so far, with all threads, milliseconds. */
export function runMsOf(root: number): number {
  const tasks = family(root).flatMap((pid) => {
    const folder = `/proc/${pid}/task`;
    return readdirSync(folder).map((task) => `${folder}/${task}/schedstat`);
  });
  return tasks.reduce((sum, path) => sum + runMs(path), 0);
}

/** The first figure of a schedstat file, in nanoseconds there (Documentation/scheduler/sched-stats of Linux). */
function runMs(path: string): number {
  return Number(readFileSync(path, 'utf8').split(' ')[0]) / 1e6;
}

/** The memory of a process and its descendants. */
export function memoryOf(root: number): Memory {
  const sum = { rssMb: 0, anonymousMb: 0 };
  for (const pid of family(root)) {
    // The memory holder only shares the agent's memory.
    if (readFileSync(`/proc/${pid}/comm`, 'utf8') === 'nodens-mem-hold\n') continue;
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const megabytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1_024;
    sum.rssMb += megabytes('Rss');
    sum.anonymousMb += megabytes('Anonymous');
  }
  return sum;
}

export class Server {
  readonly #child: ChildProcess;

  /** Output goes to the file `output`. */
  constructor(command: Command, output: string) {
    const file = openSync(output, 'a');
    this.#child = spawn('taskset', ['-c', String(SERVER_CORE), ...command.argv], {
      stdio: ['ignore', file, file],
      env: { ...process.env, ...command.env },
    });
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** CPU time spent so far, children that have ended included. */
  cpu(): CpuMs {
    let user = 0;
    let sys = 0;
    for (const pid of family(this.#child.pid as number)) {
      const stat = statOf(pid) ?? [];
      user += Number(stat[11] ?? 0) + Number(stat[13] ?? 0);
      sys += Number(stat[12] ?? 0) + Number(stat[14] ?? 0);
    }
    return { user: user * TICK_MS, sys: sys * TICK_MS };
  }

  /** Time that the main thread has run so far, milliseconds. */
  mainThreadMs(): number {
    const { pid } = this.#child;
    return runMs(`/proc/${pid}/task/${pid}/schedstat`);
  }

  /** As `mainThreadMs`, of all threads. */
  allThreadsMs(): number {
    return runMsOf(this.#child.pid as number);
  }

  memory(): Memory {
    return memoryOf(this.#child.pid as number);
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(kill);
  }
}
