/**
 * init while it runs: feeds the events of `machine.ts` and carries out its actions. `#actions` is the list of what follows;
 * each object here knows its own task and none of the others.
 */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import type { InitMessage, InterceptionState } from '../../agent/base/control.ts';
import { messageOf } from '../../agent/base/errors.ts';
import { AlreadyRunningError, type Control } from '../agent/control-socket.ts';
import { AgentHealth } from '../agent/health.ts';
import { AGENT_UID } from '../agent/supervisor.ts';
import type { EndpointFollower } from '../endpoints/follow.ts';
import { fallbackPackets } from '../firewall/nft/fallback.ts';
import type { Firewall } from '../firewall/select.ts';
import type { Log } from '../log.ts';
import type { System } from '../node/system.ts';
import { resetConnections } from '../node/tcp-connections.ts';
import type { InitOptions } from '../options.ts';
import type { Plan } from '../plan/plan.ts';
import { Child } from './child.ts';
import type { ServiceEdge } from './edge.ts';
import type { FallbackReadiness } from './fallback-readiness.ts';
import { InterceptionController } from './interception.ts';
import type { KeptIps } from './kept-ips.ts';
import type { Actions, Lifecycle } from './lifecycle.ts';
import { reportedState, WANTING } from './machine.ts';
import { NodeWatch } from './node-watch.ts';
import type { Reconciler } from './reconciler.ts';
import { StatusReport } from './status.ts';
import type { NodeLocalDnsTakeover } from './takeover.ts';

/** Withdrawal on the way out may wait for a lock, but not longer than this: the kubelet kills after 30 s. */
const LEAVE_BOUND_MS = 6_000;

/** The parts that `stay` has put together for one run. */
export interface ServiceParts {
  readonly lifecycle: Lifecycle;
  readonly options: InitOptions;
  readonly plan: Plan;
  /** Undefined where no rules are to be installed. */
  readonly firewall: Firewall | undefined;
  readonly reconciler: Reconciler;
  readonly fallback: FallbackReadiness;
  readonly kept: KeptIps;
  readonly takeover: Pick<NodeLocalDnsTakeover, 'watch' | 'stop'>;
  /** Undefined where the fallback must not lead to endpoints. */
  readonly endpoints: EndpointFollower | undefined;
  readonly edge: ServiceEdge;
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
}

/** One run of init: use it once. After it stopped, addresses and standing rules are still on the node. */
export class Service {
  readonly #parts: ServiceParts;
  readonly #interception: InterceptionController;
  readonly #health: AgentHealth;
  readonly #status: StatusReport;
  readonly #watch: NodeWatch;
  readonly #child: Child;
  readonly #exit = Promise.withResolvers<number>();
  #control: Control | undefined;
  #signal: NodeJS.Signals | undefined;
  #leaveBound: Timer | undefined;
  #flaps = 0;

  constructor(parts: ServiceParts) {
    const { lifecycle, options, firewall, reconciler, fallback, edge, system, clock, log } = parts;
    this.#parts = parts;
    this.#interception = new InterceptionController(reconciler, firewall?.isOwner === true);
    this.#health = new AgentHealth({
      ...{ clock, probe: edge.probe, send: lifecycle.send },
      isIntercepting: () => WANTING.has(lifecycle.state),
    });
    this.#status = new StatusReport({
      state: () => this.#reportedState(),
      facts: () => ({
        backend: firewall?.name ?? 'none',
        setupErrors: reconciler.errors,
        flaps: this.#flaps,
        probeFailures: this.#health.probeFailures,
        probePorts: options.probePorts,
        hasFallback: fallback.readyIps.length > 0,
      }),
      fallbackPackets: () => fallbackPackets(system),
      broadcast: (message) => this.#control?.broadcast(message),
      ...{ clock, log },
    });
    this.#watch = new NodeWatch({ ...parts, onChange: () => lifecycle.send('node-changed') });
    this.#child = new Child({
      ...{ lifecycle, edge, clock, log, args: options.supervise },
      socketPath: () => (this.#control === undefined ? '' : options.socketPath),
    });
  }

  /** Runs until a signal or the child's end; resolves to the exit code. Rejects with `AlreadyRunningError`. */
  async run(): Promise<number> {
    const { lifecycle, edge } = this.#parts;
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      edge.signals.on(name, () => {
        this.#signal ??= name;
        lifecycle.send('signal');
      });
    this.#control = await this.#listen();
    lifecycle.start(this.#actions, () => this.#onChange());
    // The agent is not waited for, nor does it wait: another program's lock must not delay its start.
    void this.#setUp();
    await this.#child.start();
    return this.#exit.promise;
  }

  /** To be called after each pass that changed what is in the kernel. */
  onRules(): void {
    const { lifecycle } = this.#parts;
    lifecycle.send(this.#isInKernel ? 'rules-installed' : 'rules-missing');
    this.#onChange();
  }

  /** What carries out each action of the machine. */
  readonly #actions: Actions = {
    watch: () => {
      const { firewall } = this.#parts;
      this.#watch.start();
      if (firewall !== undefined) this.#health.start();
      if (firewall?.hasFallback === true) this.#status.startCounting();
    },
    intercept: () => void this.#interception.install().then(() => this.onRules()),
    withdraw: () => void this.#interception.withdraw(),
    reinstall: () => {
      const message = 'the nft process that owns the query rules ended: installing them again';
      this.#parts.log.warn(message, { event: 'rules-lost' });
      void this.#parts.reconciler.lost();
    },
    reconcile: () => void this.#parts.reconciler.pass(),
    distrust: () => {
      const fields = { event: 'agent-unresponsive', silent: this.#health.silent } as const;
      this.#parts.log.warn('agent does not answer probes: interception withdrawn', fields);
      this.#flaps++;
      this.#health.holdOff();
    },
    'reset-connections': () => void this.#interception.gone.then(() => this.#resetConnections()),
    'report-killed': () => {
      const message = 'agent killed: its connection ended without a withdrawal';
      this.#parts.log.warn(message, { event: 'agent-killed' });
    },
    'await-recovery': () => this.#child.awaitRecovery(),
    'restart-agent': () => this.#child.restart(),
    'stop-watching': () => {
      this.#health.stop();
      this.#watch.stop();
      this.#status.stopCounting();
      this.#child.stopWaiting();
    },
    leave: () => void this.#leave(),
    'stop-agent': () => void this.#child.stop(this.#signal),
    exit: () => void this.#close(),
  };

  get #isInKernel(): boolean {
    return this.#parts.reconciler.interception === 'full';
  }

  #reportedState(): InterceptionState {
    const { firewall, lifecycle } = this.#parts;
    return firewall === undefined ? 'off' : reportedState(lifecycle.state, this.#isInKernel);
  }

  #onChange(): void {
    this.#parts.endpoints?.use(this.#reportedState() !== 'intercepting');
    this.#status.publish();
  }

  /** Never rejects. */
  async #setUp(): Promise<void> {
    const { options, firewall, endpoints, reconciler, lifecycle, log } = this.#parts;
    await endpoints?.adopt();
    const complete = await reconciler.pass();
    log.info(complete ? 'set up' : 'set-up incomplete, will retry', {
      localIps: options.localIps,
      backend: firewall?.name ?? 'none',
      reason: firewall?.reason,
      diesWithInit: firewall?.isOwner,
    });
    lifecycle.send('set-up');
  }

  async #listen(): Promise<Control | undefined> {
    const { options, edge, log } = this.#parts;
    try {
      return await edge.listen(options.socketPath, AGENT_UID, log, {
        status: () => this.#firstStatus(),
        onReady: (agent, nonce) => this.#health.ready(agent, nonce),
        onWithdraw: (agent) => this.#onGoodbye(agent),
        onGone: (agent) => this.#onDisconnected(agent),
      });
    } catch (error) {
      // init sees the end of a child without a socket, and probes show when it answers; a sidecar has no other way.
      if (error instanceof AlreadyRunningError || options.supervise === undefined) throw error;
      const fields = { event: 'no-control-socket', error: messageOf(error) } as const;
      log.warn('cannot open the control socket: judging the agent by probes alone', fields);
      return undefined;
    }
  }

  /** Only here, because it changes with time: other messages are sent when something is new. */
  #firstStatus(): InitMessage {
    const { untilTrustedMs } = this.#health;
    const hang = untilTrustedMs === undefined ? {} : { hang: { untilTrustedMs } };
    return { ...this.#status.message(), ...hang };
  }

  /** Acknowledged only after all query rules are gone, also those of an earlier withdrawal. */
  async #onGoodbye(agent: object): Promise<void> {
    this.#health.leave(agent);
    await this.#interception.gone;
  }

  #onDisconnected(agent: object): void {
    if (this.#health.isReady(agent)) this.#parts.lifecycle.send('agent-lost');
    this.#health.leave(agent);
  }

  /** A reset makes clients ask again at once; else they would wait for the agent that hangs. */
  async #resetConnections(): Promise<void> {
    const { firewall, plan, options, system, log } = this.#parts;
    const [reset, forgotten] = await Promise.allSettled([
      resetConnections(system.run, plan.interceptedIps, options.port),
      firewall?.forget(),
    ]);
    const fail = (what: string, reason: unknown): void =>
      log.warn(`cannot ${what}`, { event: 'connections-stay', error: messageOf(reason) });
    if (reset.status === 'fulfilled')
      log.info('reset the TCP connections to the unresponsive agent', { reset: reset.value });
    else fail('reset the TCP connections to the unresponsive agent', reset.reason);
    if (forgotten.status === 'rejected') fail('empty the set of TCP connections', forgotten.reason);
  }

  /** Addresses and standing rules stay, so that clients are served until the next init. */
  async #leave(): Promise<void> {
    const { options, firewall, lifecycle, clock, log } = this.#parts;
    const cause =
      this.#signal === undefined
        ? { agentExitCode: this.#child.exitCode }
        : { signal: this.#signal };
    log.info('stopping', cause);
    this.#leaveBound = clock.after(LEAVE_BOUND_MS, () => lifecycle.send('withdrawal-late'));
    // Rules that match only while the agent's socket is bound cannot outlive it.
    const rest = options.skipTeardown ? 'socket-guarded' : 'none';
    if (firewall !== undefined) await this.#interception.withdraw(rest);
    lifecycle.send('withdrawn');
  }

  async #close(): Promise<void> {
    this.#leaveBound?.cancel();
    await this.#control?.close();
    this.#exit.resolve(this.#child.exitCode ?? 0);
  }
}
