/** Long-running programs inside a namespace, with their output in a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Netns } from '../netns.ts';
import { within } from './wait.ts';

/** As the kubelet's. */
const STOP_BUDGET_MS = 30_000;

export interface DaemonOptions {
  readonly name: string;
  readonly netns: Netns;
  readonly argv: readonly string[];
  /** File that receives standard output and standard error. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A running program. Exit codes are -1 where a signal ended it or it could not be started. */
export class Daemon {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<number>;
  /** Undefined while it runs. */
  exitCode: number | undefined;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  /** Starts `argv` in its own process group: the lab passes a Ctrl-C on, in order. */
  constructor(options: DaemonOptions) {
    const [file = '', ...args] = options.netns.argv(...options.argv);
    const log = openSync(options.logFile, 'a');
    this.name = options.name;
    this.#logFile = options.logFile;
    this.#child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env.PATH ?? '', ...options.env },
    });
    closeSync(log);
    this.pid = this.#child.pid ?? -1;
    this.exited = new Promise((resolve) => {
      const ended = (code: number | null): void => {
        this.exitCode = code ?? -1;
        resolve(this.exitCode);
      };
      this.#child.once('exit', ended);
      this.#child.once('error', () => ended(-1));
    });
  }

  get running(): boolean {
    return this.exitCode === undefined;
  }

  /** Everything it has written so far. */
  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** The end of the output, for an error message. */
  tail(lines = 20): string {
    return this.log().split('\n').slice(-lines).join('\n');
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Sends `signal`, waits for the end and returns the exit code; SIGKILL after a budget. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', budgetMs = STOP_BUDGET_MS): Promise<number> {
    this.signal(signal);
    // A stopped process does not handle a SIGTERM before it continues.
    this.signal('SIGCONT');
    const code = await within(this.exited, budgetMs);
    if (code !== undefined) return code;
    this.signal('SIGKILL');
    return this.exited;
  }
}
