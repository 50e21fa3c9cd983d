/** What init does while it runs: keep the node as the plan says, judge the agent, and tell it the state. */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import type { InitMessage, InterceptionState } from '../../agent/base/control.ts';
import { messageOf } from '../../agent/base/errors.ts';
import { AlreadyRunningError, type Control } from '../agent/control-socket.ts';
import { AgentWatch } from '../agent/health.ts';
import { AGENT_UID } from '../agent/supervisor.ts';
import type { EndpointFollower } from '../endpoints/follow.ts';
import { fallbackPackets } from '../firewall/nft/fallback.ts';
import type { Firewall } from '../firewall/select.ts';
import type { Log } from '../log.ts';
import { Link } from '../node/link.ts';
import type { System } from '../node/system.ts';
import { resetConnections } from '../node/tcp-connections.ts';
import type { InitOptions } from '../options.ts';
import type { Interception } from '../plan/desired-rules.ts';
import type { Plan } from '../plan/plan.ts';
import type { ServiceEdge } from './edge.ts';
import type { FallbackReadiness } from './fallback-readiness.ts';
import { InterceptionSwitch } from './interception.ts';
import type { KeptIps } from './kept-ips.ts';
import { Reconciler } from './reconciler.ts';
import { lookAtNode } from './rule-state.ts';
import type { Leftovers } from './takeover.ts';

/** How often the fallback's counters are read. */
const COUNT_INTERVAL_MS = 5_000;

export interface ServiceParts {
  readonly options: InitOptions;
  readonly plan: Plan;
  /** Undefined where no rules are to be installed. */
  readonly firewall: Firewall | undefined;
  readonly fallback: FallbackReadiness;
  readonly kept: KeptIps;
  readonly leftovers: Pick<Leftovers, 'watch' | 'stop'>;
  /** Undefined where the fallback shall not lead to endpoints. */
  readonly endpoints: EndpointFollower | undefined;
  readonly edge: ServiceEdge;
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
}

export class Service {
  /** Called when the agent was there and hangs. */
  onWedge: () => void = () => undefined;
  readonly #parts: ServiceParts;
  readonly #reconciler: Reconciler;
  readonly #switch: InterceptionSwitch;
  readonly #watch: AgentWatch;
  #control: Control | undefined;
  #endMonitor: () => void = () => undefined;
  #counting: Timer | undefined;
  #packets = 0;
  #intercepted = false;
  #isLeaving = false;
  #told: InterceptionState | undefined;
  #sent = '';

  constructor(parts: ServiceParts) {
    const { options, plan, firewall, fallback, kept, endpoints, system, clock, log } = parts;
    this.#parts = parts;
    this.#reconciler = new Reconciler({
      link: options.setupInterface ? new Link(system.run, log, plan) : undefined,
      firewall,
      plan,
      look: () => lookAtNode({ firewall, fallback, kept }),
      isPending: () => firewall !== undefined && fallback.isPending,
      clock,
      log,
      syncIntervalMs: options.syncIntervalMs,
      onChange: () => this.#onChange(),
    });
    this.#switch = new InterceptionSwitch(this.#reconciler, firewall?.isOwner === true);
    kept.onQuiet = () => this.#reconciler.pass();
    if (endpoints !== undefined) endpoints.onChange = () => this.#reconciler.pass();
    this.#watch = new AgentWatch({
      clock,
      probe: parts.edge.probe,
      onVerdict: (answers) => this.#decide(answers),
      onWedge: (silent) => {
        const fields = { event: 'agent-unresponsive', silent } as const;
        log.warn('agent does not answer probes: interception withdrawn', fields);
        void this.#forget();
        this.onWedge();
      },
    });
  }

  /** Whether the last probes were all answered. */
  get agentAnswers(): boolean {
    return this.#watch.answers;
  }

  /** Whether agents can connect: a parent goes on where it could not listen. */
  get hearsAgents(): boolean {
    return this.#control !== undefined;
  }

  /** From now on agents are heard. Rejects with `AlreadyRunningError`. */
  async listen(): Promise<void> {
    this.#control = await this.#listen();
  }

  /** Puts addresses and rules, which may wait for somebody's lock, and begins to watch. Never rejects. */
  async setUp(): Promise<void> {
    const { options, plan, firewall, endpoints, edge, clock, log } = this.#parts;
    await endpoints?.adopt();
    const complete = await this.#reconciler.pass();
    log.info(complete ? 'set up' : 'set-up incomplete, will retry', {
      localIps: options.localIps,
      backend: firewall?.name ?? 'none',
      reason: firewall?.reason,
      diesWithInit: firewall?.isOwner,
    });
    if (this.#isLeaving) return;
    this.#parts.kept.watch();
    void this.#parts.leftovers.watch();
    this.#endMonitor = edge.monitor({
      clock,
      addresses: options.setupInterface ? plan.addresses : [],
      interfaceName: options.interfaceName,
      hasNft: firewall?.hasFallback === true,
      isIntact:
        firewall?.name.startsWith('iptables') === true ? () => this.#isRedirected() : undefined,
      onChange: () => void this.#reconciler.pass(),
    });
    if (firewall === undefined) return;
    this.#watch.start();
    if (firewall.hasFallback)
      this.#counting = clock.every(COUNT_INTERVAL_MS, () => void this.#count());
  }

  /** The kernel has dropped the host's query rules with the process that held them. */
  onOwnerLost(): void {
    const message = 'the nft process that owns the query rules ended: installing them again';
    this.#parts.log.warn(message, { event: 'rules-lost' });
    void this.#reconciler.lost();
  }

  /** Takes the query direction away; addresses and standing rules stay, so that a restart is not a hole. */
  async withdraw(): Promise<void> {
    this.#isLeaving = true;
    this.#watch.stop();
    this.#parts.leftovers.stop();
    this.#parts.kept.stop();
    this.#endMonitor();
    this.#counting?.cancel();
    this.#parts.endpoints?.stop();
    this.#reconciler.stop();
    if (this.#parts.firewall === undefined) return;
    await this.#switch.off(this.#idle());
  }

  async stop(): Promise<void> {
    await this.#control?.close();
  }

  /** Rules that only match while a socket is bound harm nobody who wants rules to stay. */
  #idle(): Interception {
    return this.#parts.options.skipTeardown ? 'socket-guarded' : 'none';
  }

  /** An agent that waits need not wait for what the kernel has not dropped at once. */
  async #decide(answers: boolean): Promise<void> {
    if (answers) return this.#switch.on();
    void this.#switch.off();
    await this.#switch.gone;
  }

  /** Whoever leaves is told when nothing leads to it any more, whoever has taken it away. */
  async #onLeave(agent: object): Promise<void> {
    await this.#watch.leave(agent);
    await this.#switch.gone;
  }

  /** An agent that stops has asked to withdraw before. */
  #onGone(agent: object): void {
    if (this.#watch.isReady(agent) && !this.#isLeaving)
      this.#parts.log.warn('agent killed: its connection ended without a withdrawal', {
        event: 'agent-killed',
      });
    void this.#watch.leave(agent);
  }

  async #listen(): Promise<Control | undefined> {
    const { options, edge, log } = this.#parts;
    try {
      return await edge.listen(options.socketPath, AGENT_UID, log, {
        status: () => this.#status(),
        onReady: (agent, nonce) => this.#watch.ready(agent, nonce),
        onWithdraw: (agent) => this.#onLeave(agent),
        onGone: (agent) => this.#onGone(agent),
      });
    } catch (error) {
      // A child's end is seen without a socket, and probes say when it answers; a sidecar has nothing else.
      if (error instanceof AlreadyRunningError || options.supervise === undefined) throw error;
      const fields = { event: 'no-control-socket', error: messageOf(error) } as const;
      log.warn('cannot open the control socket: judging the agent by probes alone', fields);
      return undefined;
    }
  }

  /** Whether the node's own queries reach the agent, as far as they should. */
  async #isRedirected(): Promise<boolean> {
    const { plan, edge } = this.#parts;
    if (this.#reconciler.interception !== 'full') return true;
    return (await Promise.all(plan.interceptedIps.map(edge.reachesAgent))).every(Boolean);
  }

  /** Who is connected to an agent that hangs had better be told so by a reset than wait for an answer. */
  async #forget(): Promise<void> {
    const { firewall, plan, options, system, log } = this.#parts;
    const [reset, forgotten] = await Promise.allSettled([
      resetConnections(system.run, plan.interceptedIps, options.port),
      firewall?.forget(),
    ]);
    const failed = (what: string, reason: unknown): void =>
      log.warn(`cannot ${what}`, { event: 'connections-stay', error: messageOf(reason) });
    if (reset.status === 'fulfilled')
      log.info('reset the TCP connections to the unresponsive agent', { reset: reset.value });
    else failed('reset the TCP connections to the unresponsive agent', reset.reason);
    if (forgotten.status === 'rejected')
      failed('empty the set of TCP connections', forgotten.reason);
  }

  async #count(): Promise<void> {
    try {
      this.#packets = await fallbackPackets(this.#parts.system.run);
    } catch (error) {
      const fields = { event: 'counters-unread', error: messageOf(error) } as const;
      this.#parts.log.warn('cannot read the counters of the fallback', fields);
    }
    this.#tell();
  }

  #onChange(): void {
    const state = this.#state();
    this.#parts.endpoints?.use(state !== 'intercepting');
    if (state === 'intercepting') this.#intercepted = true;
    if (state !== this.#told) this.#parts.log.info('interception', { state });
    this.#told = state;
    this.#tell();
  }

  #tell(): void {
    const status = this.#status();
    const text = JSON.stringify(status);
    if (text !== this.#sent) this.#control?.broadcast(status);
    this.#sent = text;
  }

  #status(): InitMessage {
    return {
      type: 'status',
      state: this.#state(),
      backend: this.#parts.firewall?.name ?? 'none',
      setupErrors: this.#reconciler.errors,
      flaps: this.#watch.flaps,
      probeFailures: this.#watch.probeFailures,
      probePorts: this.#parts.options.probePorts,
      fallback: { configured: this.#parts.fallback.readyIps.length > 0, packets: this.#packets },
    };
  }

  #state(): InterceptionState {
    if (this.#parts.firewall === undefined) return 'off';
    if (this.#reconciler.interception === 'full') return 'intercepting';
    return this.#intercepted ? 'withdrawn' : 'waiting';
  }
}
