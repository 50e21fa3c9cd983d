/** Programs of the system (ip, nft, iptables) as functions: argument arrays, never a shell, never without a bound. */
import { messageOf, NodensError } from '../../agent/base/errors.ts';

/** A program takes longer than this only when it waits for another one. Then init kills it. */
export const COMMAND_TIMEOUT_MS = 30_000;
export const MAX_OUTPUT_CHARS = 64 * 1024 * 1024;

/**
 * Runs a program with `input` on its stdin and resolves to its stdout. Rejects with `CommandError` where it cannot be
 * started or ends with anything but 0.
 */
export type Run = (program: string, args: readonly string[], input?: string) => Promise<string>;

/** Thrown when a program of the system failed. `exitCode` is undefined where it could not be started or was killed. */
export class CommandError extends NodensError {
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** Whether another process than init ended it by SIGKILL: mostly the kernel, for memory. */
  readonly isKilled: boolean;

  constructor(command: string, exitCode: number | undefined, stderr: string, isKilled = false) {
    const code = exitCode === undefined ? '' : `exit code ${exitCode}: `;
    const reason = isKilled
      ? 'killed (SIGKILL), which the kernel does where memory is short'
      : firstLine(stderr);
    super('NODENS_COMMAND', `${command}: ${code}${reason}`);
    this.exitCode = exitCode;
    this.stderr = stderr;
    this.isKilled = isKilled;
  }

  /** What to do about it, where that is known from how the program ended. */
  get remedy(): string | undefined {
    return this.isKilled ? KILLED_REMEDY : undefined;
  }

  /** Whether another program held the lock of legacy iptables for as long as init waits. */
  get lockHeld(): boolean {
    return this.stderr.includes('holding the xtables lock');
  }
}

const KILLED_REMEDY =
  "raise the memory limit of this container (init's in the DaemonSet; a large ruleset takes nft or iptables-save " +
  "hundreds of MB), or run it on the node; `oom-kill` in the node's kernel log says what was killed";

function firstLine(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('# Warning'));
  return lines[0] ?? 'no message';
}

/**
 * `Run` on this node. init ends a program after 30 s, or when it prints more than 64 Mi characters. Programs run with
 * LC_ALL=C, because init reads their messages. An init that stays has `runResident` instead.
 */
export const runCommand: Run = async (program, args, input = '') => {
  const { execa } = await import('execa');
  const command = [program, ...args].join(' ');
  const options = {
    input,
    reject: false,
    timeout: COMMAND_TIMEOUT_MS,
    forceKillAfterDelay: 1_000,
    maxBuffer: MAX_OUTPUT_CHARS,
    env: { LC_ALL: 'C' },
  } as const;
  const result = await (async () => execa(program, [...args], options))().catch(
    (error: unknown) => {
      // An argument that no program can get, with a zero byte, is thrown whatever `reject` says.
      throw new CommandError(command, undefined, messageOf(error));
    },
  );
  if (!result.failed) return result.stdout;
  if (result.signal === 'SIGKILL' && !result.timedOut && !result.isMaxBuffer)
    throw new CommandError(command, undefined, result.stderr, true);
  if (result.exitCode === undefined)
    throw new CommandError(command, undefined, result.originalMessage ?? result.shortMessage ?? '');
  throw new CommandError(command, result.exitCode, result.stderr);
};

/** The stdout of a program, empty where it fails. */
export async function quietly(
  { run }: { readonly run: Run },
  program: string,
  args: readonly string[],
): Promise<string> {
  try {
    return await run(program, args);
  } catch (error) {
    if (error instanceof CommandError) return '';
    throw error;
  }
}
