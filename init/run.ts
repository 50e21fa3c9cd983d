/** `nodens init` as it stays: set-up, control socket, the watch over the agent, and the way out. */
import { type Clock, sleep } from '../agent/base/clock.ts';
import type { InitMessage, InterceptionState } from '../agent/base/control.ts';
import { messageOf } from '../agent/base/errors.ts';
import type { Firewall } from './choose.ts';
import { AlreadyRunningError, type Control, listenControl } from './control.ts';
import { AGENT_UID, type AgentChild, startAgent } from './dropin.ts';
import { Link } from './link.ts';
import type { Log } from './log.ts';
import type { InitOptions } from './options.ts';
import type { Interception, Plan } from './plan.ts';
import { udpProbe } from './probe.ts';
import { Reconciler } from './reconcile.ts';
import type { System } from './system.ts';
import { AgentWatch } from './watch.ts';

/** Withdrawal on the way out may wait for a lock, but not longer than this: the kubelet kills after 30 s. */
const WITHDRAW_BOUND_MS = 6_000;

export interface RunParts {
  readonly options: InitOptions;
  readonly plan: Plan;
  /** Undefined where no rules are to be installed. */
  readonly firewall: Firewall | undefined;
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
}

/** Runs until a signal or the child's end; resolves to the exit code. */
export async function run(parts: RunParts): Promise<number> {
  const { options, system, clock, log } = parts;
  const signal = firstSignal();
  const service = new Service(parts);
  await service.start();
  const child =
    options.supervise && (await startAgent(system, log, options.supervise, options.socketPath));
  const passUsr1 = (): void => child?.kill('SIGUSR1');
  if (child !== undefined) process.on('SIGUSR1', passUsr1);

  const end = await Promise.race([signal, ...(child === undefined ? [] : [child.exited])]);
  log.info('stopping', typeof end === 'number' ? { agentExitCode: end } : { signal: end });
  await Promise.race([service.withdraw(), sleep(clock, WITHDRAW_BOUND_MS)]);
  const code = await childCode(child, end);
  await service.stop();
  process.off('SIGUSR1', passUsr1);
  return code;
}

async function childCode(
  child: AgentChild | undefined,
  end: NodeJS.Signals | number,
): Promise<number> {
  if (typeof end === 'number') return end;
  child?.kill(end);
  return (await child?.exited) ?? 0;
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}

class Service {
  readonly #parts: RunParts;
  readonly #reconciler: Reconciler;
  readonly #watch: AgentWatch;
  #control: Control | undefined;
  #intercepted = false;
  #told: InterceptionState | undefined;

  constructor(parts: RunParts) {
    const { options, plan, firewall, system, clock, log } = parts;
    this.#parts = parts;
    this.#reconciler = new Reconciler({
      link: options.setupInterface ? new Link(system.run, log, plan) : undefined,
      firewall,
      rules: plan.rules,
      clock,
      log,
      syncIntervalMs: options.syncIntervalMs,
      onChange: () => this.#onChange(),
    });
    const probe = udpProbe(clock);
    this.#watch = new AgentWatch({
      clock,
      probe: () => probe(probeAddress(plan.addresses), options.port),
      onVerdict: (answers) => this.#want(answers ? 'full' : this.#idle()),
    });
  }

  async start(): Promise<void> {
    const { options, firewall, log } = this.#parts;
    this.#control = await this.#listen();
    const complete = await this.#reconciler.pass();
    log.info(complete ? 'set up' : 'set-up incomplete, will be retried', {
      localIps: options.localIps,
      backend: firewall?.name ?? 'none',
      reason: firewall?.reason,
    });
    if (firewall !== undefined) this.#watch.start();
  }

  /** Takes the query direction away; addresses and standing rules stay, so that a restart is not a hole. */
  async withdraw(): Promise<void> {
    this.#watch.stop();
    this.#reconciler.stop();
    await this.#want(this.#idle());
  }

  async stop(): Promise<void> {
    await this.#control?.close();
  }

  /** Rules that only match while a socket is bound harm nobody who wants rules to stay. */
  #idle(): Interception {
    return this.#parts.options.skipTeardown ? 'guarded' : 'none';
  }

  async #want(interception: Interception): Promise<void> {
    if (this.#parts.firewall !== undefined) await this.#reconciler.want(interception);
  }

  async #listen(): Promise<Control | undefined> {
    const { options, log } = this.#parts;
    try {
      return await listenControl(options.socketPath, AGENT_UID, log, {
        status: () => this.#status(),
        onReady: (agent) => this.#watch.ready(agent),
        onWithdraw: (agent) => this.#watch.leave(agent),
        onGone: (agent) => void this.#watch.leave(agent),
      });
    } catch (error) {
      // A child's end is seen without a socket, and probes say when it answers; a sidecar has nothing else.
      if (error instanceof AlreadyRunningError || options.supervise === undefined) throw error;
      log.warn('no control socket: the agent is only probed', { error: messageOf(error) });
      return undefined;
    }
  }

  #onChange(): void {
    const state = this.#state();
    if (state === 'intercepting') this.#intercepted = true;
    if (state !== this.#told) this.#parts.log.info('interception', { state });
    this.#told = state;
    this.#control?.broadcast(this.#status());
  }

  #status(): InitMessage {
    return {
      type: 'status',
      state: this.#state(),
      backend: this.#parts.firewall?.name ?? 'none',
      setupErrors: this.#reconciler.errors,
    };
  }

  #state(): InterceptionState {
    if (this.#parts.firewall === undefined) return 'off';
    if (this.#reconciler.interception === 'full') return 'intercepting';
    return this.#intercepted ? 'withdrawn' : 'waiting';
  }
}

/**
 * A link-local address if there is one: without interception a query to the VIP may be answered by kube-dns, which
 * says nothing about the agent.
 */
function probeAddress(addresses: readonly string[]): string {
  const linkLocal = addresses.find((address) => /^(169\.254\.|fe[89ab])/.test(address));
  return linkLocal ?? (addresses[0] as string);
}
