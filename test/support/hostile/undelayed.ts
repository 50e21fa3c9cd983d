/** Processes that have priority on this machine, where that is possible. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

const REAL_TIME = ['chrt', '--fifo', '20'];
/** In front of a command: real-time priority; empty where this machine does not allow it. */
export const UNDELAYED: readonly string[] =
  spawnSync('chrt', ['--fifo', '1', 'true']).status === 0 ? REAL_TIME : [];

/**
 * Starts a program of TypeScript that no attacker's process delays: a test measures the latency of the agent, not how
 * long a client or an upstream waits for a processor.
 */
export function spawnUndelayed(program: string, args: readonly string[]): ChildProcess {
  const [file = '', ...rest] = [...UNDELAYED, process.execPath, program, ...args];
  return spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
}
