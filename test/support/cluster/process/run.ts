/** Programs run to their end, with a time limit. */
import { execa } from 'execa';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** The program runs until this settles: its standard input stays open. */
  readonly until?: Promise<unknown>;
  /** The signal that it gets then, too. */
  readonly endSignal?: NodeJS.Signals;
}

const DEFAULT_TIMEOUT_MS = 45_000;

/** Runs `argv` and returns how it ended; a program that could not start or exceeded its time has code -1. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [file = '', ...args] = argv;
  const running = execa(file, args, {
    reject: false,
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    ...stdinOf(options),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
  const end = (): void => {
    running.stdin?.end();
    if (options.endSignal !== undefined) running.kill(options.endSignal);
  };
  options.until?.then(end, end);
  const result = await running;
  return {
    code: result.exitCode ?? -1,
    stdout: String(result.stdout ?? ''),
    stderr:
      String(result.stderr ?? '') ||
      (result.exitCode === undefined ? `${result.shortMessage}` : ''),
  };
}

function stdinOf({ input, until }: RunOptions): { stdin: 'ignore' | 'pipe' } | { input: string } {
  if (input !== undefined) return { input };
  return { stdin: until === undefined ? 'ignore' : 'pipe' };
}

/** As `run`, for a program that must succeed: returns its standard output. Throws an Error that quotes command and standard error. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(argv, options);
  if (ran.code !== 0) {
    throw new Error(
      `${argv.join(' ')}: exit ${ran.code}: ${ran.stderr.trim() || ran.stdout.trim()}`,
    );
  }
  return ran.stdout;
}
