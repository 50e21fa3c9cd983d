/** Processes that have priority on this machine, where that is possible. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

/**
 * Real-time priorities. A client that measures never waits for what it measures, nor the upstream for the agent: else
 * most of a latency beside a flood is the client's own wait for a processor.
 */
const PRIORITIES = { agent: 20, upstream: 30, client: 40 } as const;

export type Role = keyof typeof PRIORITIES;

const isPossible = spawnSync('chrt', ['--fifo', '1', 'true']).status === 0;

/** In front of a command: real-time priority; empty where this machine does not allow it. */
export function undelayed(role: Role): readonly string[] {
  return isPossible ? ['chrt', '--fifo', `${PRIORITIES[role]}`] : [];
}

/**
 * Starts a program of TypeScript that no attacker's process delays: a test measures the latency of the agent, not how
 * long a client or an upstream waits for a processor.
 */
export function spawnUndelayed(role: Role, program: string, args: readonly string[]): ChildProcess {
  const [file = '', ...rest] = [...undelayed(role), process.execPath, program, ...args];
  return spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
}
