/** Programs run to their end, with a bound on time. */
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
}

const DEFAULT_TIMEOUT_MS = 15_000;

/** Runs `argv` and tells how it ended; a program that could not start or ran out of time has code -1. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [file = '', ...args] = argv;
  const result = await execa(file, args, {
    reject: false,
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
  return {
    code: result.exitCode ?? -1,
    stdout: String(result.stdout ?? ''),
    stderr:
      String(result.stderr ?? '') ||
      (result.exitCode === undefined ? `${result.shortMessage}` : ''),
  };
}

/** As `run`, for what must succeed: its standard output. Throws an Error that quotes command and standard error. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(argv, options);
  if (ran.code !== 0) {
    throw new Error(
      `${argv.join(' ')}: exit ${ran.code}: ${ran.stderr.trim() || ran.stdout.trim()}`,
    );
  }
  return ran.stdout;
}
