/** Drop-in mode: what the life of init has to do with the agent as its child. A sidecar has none, and waits for none. */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import { Supervisor } from '../agent/supervisor.ts';
import type { Log } from '../log.ts';
import type { ServiceEdge } from './edge.ts';
import type { Lifecycle } from './lifecycle.ts';

/** Time for a hanging agent to recover after it was withdrawn. */
const RECOVERY_MS = 3_000;

/** What `Child` needs of init. */
export interface ChildParts {
  readonly lifecycle: Lifecycle;
  readonly edge: Pick<ServiceEdge, 'signals' | 'startAgent'>;
  /** Of the agent; undefined as a sidecar. */
  readonly args: readonly string[] | undefined;
  /** Of the control socket, empty for none. */
  readonly socketPath: () => string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The agent as child, as events and actions of the machine. For a sidecar (`args` undefined) no method touches an
 * agent, but events are sent all the same.
 */
export class Child {
  readonly #parts: ChildParts;
  readonly #supervisor: Supervisor | undefined;
  #started: Promise<void> = Promise.resolve();
  #recovery: Timer | undefined;

  constructor(parts: ChildParts) {
    const { args, edge, socketPath, clock } = parts;
    this.#parts = parts;
    this.#supervisor = args && new Supervisor(clock, () => edge.startAgent(args, socketPath()));
  }

  /** Rejects where the agent cannot be started at all. */
  async start(): Promise<void> {
    const { lifecycle, edge } = this.#parts;
    const supervisor = this.#supervisor;
    if (supervisor === undefined) return;
    this.#started = supervisor.start();
    await this.#started;
    edge.signals.on('SIGUSR1', this.#passUsr1);
    void supervisor.exited.then(() => lifecycle.send('agent-exited'));
  }

  /** Of an agent that has ended and is not restarted. */
  get exitCode(): number | undefined {
    return this.#supervisor?.exitCode;
  }

  /** Sends `recovery-over` in a while, unless that time runs already. */
  awaitRecovery(): void {
    const { clock, lifecycle } = this.#parts;
    this.#recovery ??= clock.after(RECOVERY_MS, () => {
      this.#recovery = undefined;
      lifecycle.send('recovery-over');
    });
  }

  /** SIGKILL and a new start after a pause, see `Supervisor.restart`. Does not wait for either. */
  restart(): void {
    if (this.#supervisor === undefined) return;
    this.#parts.log.warn('agent unresponsive: restarting it', { event: 'agent-restart' });
    void this.#supervisor.restart();
  }

  /** Cancels `awaitRecovery`. */
  stopWaiting(): void {
    this.#recovery?.cancel();
  }

  /** Ends the agent, which may have ended; then `agent-exited` is sent. */
  async stop(signal: NodeJS.Signals | undefined): Promise<void> {
    await this.#started;
    if (signal !== undefined) this.#supervisor?.stop(signal);
    await this.#supervisor?.exited;
    this.#parts.edge.signals.off('SIGUSR1', this.#passUsr1);
    this.#parts.lifecycle.send('agent-exited');
  }

  readonly #passUsr1 = (): void => this.#supervisor?.kill('SIGUSR1');
}
