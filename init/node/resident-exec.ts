/**
 * Programs of the system for an init that stays. execa is 200 kB of code and 3 MB of memory, which a process that sleeps on
 * every node keeps for ever (docs/decisions/034-memory-of-a-sleeper.md): here Node's own function does its work.
 */
import { type ChildProcess, type ExecFileException, execFile } from 'node:child_process';
import { messageOf } from '../../agent/base/errors.ts';
import { COMMAND_TIMEOUT_MS, CommandError, MAX_OUTPUT_CHARS, type Run } from './exec.ts';

const LIMITS = {
  encoding: 'utf8',
  timeout: COMMAND_TIMEOUT_MS,
  killSignal: 'SIGKILL',
  maxBuffer: MAX_OUTPUT_CHARS,
} as const;

/** Programs that run now. They end with init: none may change a rule after it. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** `Run` with the bounds of `runCommand`. */
export const runResident: Run = (program, args, input = '') => {
  const command = [program, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const options = { ...LIMITS, env: { ...process.env, LC_ALL: 'C' } };
    try {
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        running.delete(child);
        if (error === null) resolve(stdout.replace(/\n$/, ''));
        else reject(failure(command, error, stderr));
      });
      running.add(child);
      // A program may end before it has read all: its exit code says more. Without descriptors there is no stdin.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    } catch (error) {
      reject(new CommandError(command, undefined, messageOf(error)));
    }
  });
};

function failure(command: string, error: ExecFileException, stderr: string): CommandError {
  if (error.signal === 'SIGKILL' && error.killed === false)
    return new CommandError(command, undefined, stderr, true);
  if (typeof error.code === 'number') return new CommandError(command, error.code, stderr);
  return new CommandError(command, undefined, reasonOf(error));
}

function reasonOf({ code, killed, signal, message }: ExecFileException): string {
  if (typeof code === 'string') return message;
  return killed === true ? `no end after ${COMMAND_TIMEOUT_MS / 1_000} s` : `ended by ${signal}`;
}
