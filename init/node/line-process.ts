/** A program that runs for long and reports in lines: `nft monitor`, `ip monitor`. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Starts `program`; returns what kills it. `onEnd` is called once, also where it cannot be started. */
export type StartLines = (
  program: string,
  args: readonly string[],
  handlers: { readonly onLine: (line: string) => void; readonly onEnd: () => void },
) => () => void;

/** `StartLines` on this node. The child gets no stdin and its stderr is dropped. */
export const startLines: StartLines = (program, args, { onLine, onEnd }) => {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  createInterface({ input: child.stdout }).on('line', onLine);
  // 'close' follows, also where there is no such program.
  child.on('error', () => undefined);
  child.on('close', onEnd);
  return () => void child.kill('SIGKILL');
};
