/** Drop-in mode: the agent as child of init, without the privileges that init has. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ADMIN_SOCKET_ENV } from '../../agent/base/admin-socket.ts';
import { type Clock, sleep } from '../../agent/base/clock.ts';
import { CONTROL_SOCKET_ENV } from '../../agent/base/control.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';
import { CommandError } from '../node/exec.ts';
import type { System } from '../node/system.ts';

/** The numeric user of the image; the same in every version, so that SO_REUSEPORT works across an upgrade. */
export const AGENT_UID = 65_532;

const UNPRIVILEGED = [
  ...['--reuid', String(AGENT_UID), '--regid', String(AGENT_UID), '--clear-groups'],
  ...['--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service', '--no-new-privs'],
];
/** Needs CAP_SETPCAP; without it no-new-privs alone keeps the child from gaining anything. */
const BOUNDED = ['--bounding-set', '-all,+net_bind_service'];

/** A running agent; tests replace it. */
export interface AgentChild {
  /** Resolves to the exit code when the child is gone; 128 + n where signal n ended it. */
  readonly exited: Promise<number>;
  /** Does nothing once the child has ended. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts the agent with these arguments. It writes to the output of init; the control socket's path, empty for none, is in its
 * environment.
 */
export async function startAgent(
  system: System,
  log: Log,
  args: readonly string[],
  socketPath: string,
): Promise<AgentChild> {
  const node = [process.execPath, agentEntry(), ...args];
  const [program = '', ...rest] = [...(await unprivilegedPrefix(system, log)), ...node];
  const admin = await adminSocketEnv(socketPath, log);
  const child = spawn(program, rest, {
    stdio: 'inherit',
    env: { ...admin, ...process.env, [CONTROL_SOCKET_ENV]: socketPath },
  });
  return {
    exited: exitCodeOf(child, log),
    kill: (signal) => void child.kill(signal),
  };
}

/**
 * Where the agent may have its admin socket, as a variable of its environment: in a folder of its own, because only root
 * can write beside the control socket. Empty without one: then the agent serves all the same. Never rejects.
 */
export async function adminSocketEnv(
  controlSocket: string,
  log: Log,
  uid = AGENT_UID,
): Promise<Readonly<Record<string, string>>> {
  if (controlSocket === '') return {};
  const folder = join(dirname(controlSocket), 'agent');
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chown(folder, uid, uid);
    return { [ADMIN_SOCKET_ENV]: join(folder, 'admin.sock') };
  } catch (error) {
    log.info('no folder for the admin socket of the agent', { folder, error: messageOf(error) });
    return {};
  }
}

const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;

/** The agent as child: `restart` replaces one that hangs, and one that ends by itself is the end of init. */
export class Supervisor {
  readonly #start: () => Promise<AgentChild>;
  readonly #clock: Clock;
  readonly #ended = Promise.withResolvers<number>();
  #exitCode: number | undefined;
  #child: AgentChild | undefined;
  #isRestarting = false;
  #isStopping = false;
  #backoffMs = MIN_BACKOFF_MS;

  constructor(clock: Clock, start: () => Promise<AgentChild>) {
    this.#clock = clock;
    this.#start = start;
  }

  /** Resolves to the exit code of an agent that ended and is not restarted. */
  get exited(): Promise<number> {
    return this.#ended.promise;
  }

  /** The same, undefined before. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Resolves once the child is started, not when it ends. */
  async start(): Promise<void> {
    const child = await this.#start();
    this.#child = child;
    void child.exited.then((code) => {
      if (!this.#isRestarting) this.#end(code);
    });
  }

  /** SIGKILL, a pause that doubles each time, a new start. */
  async restart(): Promise<void> {
    if (this.#isRestarting || this.#isStopping || this.#child === undefined) return;
    this.#isRestarting = true;
    this.#child.kill('SIGKILL');
    const code = await this.#child.exited;
    await sleep(this.#clock, this.#backoffMs);
    this.#backoffMs = Math.min(2 * this.#backoffMs, MAX_BACKOFF_MS);
    if (this.#isStopping) this.#end(code);
    else await this.start();
    this.#isRestarting = false;
  }

  /** For good: the exit code is then that of the agent, and no new one is started. */
  stop(signal: NodeJS.Signals): void {
    this.#isStopping = true;
    this.kill(signal);
    // A stopped process does not handle the signal.
    this.kill('SIGCONT');
  }

  /**
   * Sends a signal to the child that runs now, if there is one. If the child ends of it, `exited` resolves, unless
   * `restart` runs.
   */
  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  #end(code: number): void {
    this.#exitCode = code;
    this.#ended.resolve(code);
  }
}

/** The agent's bundle beside ours, or its source when we run from source. */
function agentEntry(): string {
  const isSource = import.meta.url.endsWith('.ts');
  const entry = isSource ? '../../agent/main.ts' : '../agent/main.js';
  return fileURLToPath(new URL(entry, import.meta.url));
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
  log.warn('cannot change the user of the agent: it keeps the privileges of init', {
    event: 'agent-privileges',
    reason,
  });
  return [];
}

function exitCodeOf(child: ChildProcess, log: Log): Promise<number> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      log.error('cannot start the agent', { event: 'agent-start', error: error.message });
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
