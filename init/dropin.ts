/** Drop-in mode: the agent as child of init, without the privileges that init has. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { CONTROL_SOCKET_ENV } from '../agent/base/control.ts';
import { CommandError } from './exec.ts';
import type { Log } from './log.ts';
import type { System } from './system.ts';

/** The numeric user of the image; the same in every version, so that SO_REUSEPORT works across an upgrade. */
export const AGENT_UID = 65_532;

const UNPRIVILEGED = [
  ...['--reuid', String(AGENT_UID), '--regid', String(AGENT_UID), '--clear-groups'],
  ...['--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service', '--no-new-privs'],
];
/** Needs CAP_SETPCAP; without it no-new-privs alone keeps the child from gaining anything. */
const BOUNDED = ['--bounding-set', '-all,+net_bind_service'];

export interface AgentChild {
  /** Resolves to the exit code when the child is gone; 128 + n where signal n ended it. */
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts the agent with these arguments. Its output is ours; the control socket's path is in its environment. */
export async function startAgent(
  system: System,
  log: Log,
  args: readonly string[],
  socketPath: string,
): Promise<AgentChild> {
  const node = [process.execPath, ...process.execArgv, agentEntry(), ...args];
  const [program = '', ...rest] = [...(await unprivilegedPrefix(system, log)), ...node];
  const child = spawn(program, rest, {
    stdio: 'inherit',
    env: { ...process.env, [CONTROL_SOCKET_ENV]: socketPath },
  });
  return {
    exited: exitCodeOf(child, log),
    kill: (signal) => void child.kill(signal),
  };
}

/** The agent's bundle beside ours, or its source when we run from source. */
function agentEntry(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`../agent/main.${extension}`, import.meta.url));
}

/** The strictest way down that works here, tried on a program that does nothing. */
async function unprivilegedPrefix(system: System, log: Log): Promise<string[]> {
  let reason = '';
  for (const flags of [[...UNPRIVILEGED, ...BOUNDED], UNPRIVILEGED]) {
    try {
      await system.run('setpriv', [...flags, 'true']);
      return ['setpriv', ...flags];
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      reason = error.message;
    }
  }
  log.warn('agent keeps the privileges of init: its user cannot be changed here', { reason });
  return [];
}

function exitCodeOf(child: ChildProcess, log: Log): Promise<number> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      log.error('agent cannot be started', { error: error.message });
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
