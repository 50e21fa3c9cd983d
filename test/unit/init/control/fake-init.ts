/** init on a fake node, where the test acts as agent, kernel, other programs and kubelet. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { InitMessage } from '../../../../agent/base/control.ts';
import type { ControlHandlers } from '../../../../init/agent/control-socket.ts';
import type { Round } from '../../../../init/agent/probe.ts';
import type { ServiceEdge } from '../../../../init/control/edge.ts';
import { FallbackReadiness } from '../../../../init/control/fallback-readiness.ts';
import { KeptIps } from '../../../../init/control/kept-ips.ts';
import { Lifecycle } from '../../../../init/control/lifecycle.ts';
import type { State } from '../../../../init/control/machine.ts';
import { Reconciler } from '../../../../init/control/reconciler.ts';
import { lookAtNode } from '../../../../init/control/rule-state.ts';
import { Service, type ServiceParts } from '../../../../init/control/service.ts';
import type { Firewall } from '../../../../init/firewall/select.ts';
import { initOptionsFrom } from '../../../../init/options.ts';
import { planOf } from '../../../../init/plan/plan.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { fakeLog, fakeSystem, type Script } from '../fake-system.ts';

export const REFUSED: Round = { silent: ['udp a', 'tcp a'], isRefused: true, names: new Set() };
export const HUNG: Round = { silent: ['udp a'], isRefused: false, names: new Set() };
export const answered = (...names: string[]): Round => ({
  ...{ silent: [], isRefused: true, names: new Set(names) },
});

export interface FakeNode {
  /** The result of the next probes. */
  round: Round;
  /** Whether other programs have changed rules: the next pass restores them. */
  areRulesChanged: boolean;
  /** The error of the next passes. */
  ruleError: Error | undefined;
  /** No pass ends before it resolves: another program has the lock. */
  lock: Promise<void>;
  /** What happened: `rules N` (N query rules), `release`, `forget`, `agent SIGNAL`, `closed`. */
  readonly steps: string[];
}

export interface FakeInitOptions {
  readonly argv?: readonly string[];
  /** The query rules are in an owned table: the kernel drops it at once, and when init ends. */
  readonly isOwner?: boolean;
  readonly cannotListen?: Error;
  readonly localIps?: string;
}

/** One connection of an agent to the control socket. */
export interface FakeAgent {
  ready(nonce: string): Promise<void>;
  /** Resolves when init acknowledges. */
  withdraw(): Promise<void>;
  end(): Promise<void>;
}

class Child {
  readonly signals: string[] = [];
  readonly #exit = Promise.withResolvers<number>();
  readonly exited = this.#exit.promise;
  readonly #steps: string[];

  constructor(steps: string[]) {
    this.#steps = steps;
  }

  kill(signal: NodeJS.Signals): void {
    this.signals.push(signal);
    this.#steps.push(`agent ${signal}`);
    if (signal === 'SIGKILL') this.exit(137);
  }

  exit(code: number): void {
    this.#exit.resolve(code);
  }
}

function fakeFirewall(node: FakeNode, isOwner: boolean): Firewall {
  return {
    ...{ name: 'nft', reason: 'nft works here', isOwner, hasTcpAffinity: true, hasFallback: true },
    apply: async ({ query }) => {
      await node.lock;
      if (node.ruleError !== undefined) throw node.ruleError;
      node.steps.push(`rules ${query.length}`);
      const changed = node.areRulesChanged;
      node.areRulesChanged = false;
      return changed;
    },
    release: async () => void node.steps.push('release'),
    standingIps: async () => [],
    forget: async () => void node.steps.push('forget'),
    explain: () => '',
  };
}

/** A node whose addresses are in place and whose fallback has no packets. */
function fakePrograms(localIps: string): Script {
  const addr_info = localIps.split(',').map((local) => ({ local }));
  const links = JSON.stringify([{ ifname: 'lo', flags: ['UP'], addr_info }]);
  return (command) => {
    if (command === 'ip -j -d addr show') return links;
    return command.startsWith('nft -j') ? '{"nftables":[]}' : undefined;
  };
}

/** The sockets and children of init, which the test controls. */
class FakeEdge {
  readonly node: FakeNode = {
    ...{ round: REFUSED, areRulesChanged: false, ruleError: undefined },
    ...{ lock: Promise.resolve(), steps: [] },
  };
  readonly messages: InitMessage[] = [];
  readonly children: Child[] = [];
  readonly socketPaths: string[] = [];
  readonly signals = new EventEmitter();
  handlers: ControlHandlers | undefined;
  report: () => void = assert.fail;
  isMonitoring = false;
  readonly #cannotListen: Error | undefined;

  constructor(cannotListen: Error | undefined) {
    this.#cannotListen = cannotListen;
  }

  readonly edge: ServiceEdge = {
    listen: async (_path, _uid, _log, handlers) => {
      if (this.#cannotListen !== undefined) throw this.#cannotListen;
      this.handlers = handlers;
      return {
        broadcast: (message) => void this.messages.push(message),
        close: async () => void this.node.steps.push('closed'),
      };
    },
    monitor: ({ onChange }) => {
      this.report = onChange;
      this.isMonitoring = true;
      return () => {
        this.isMonitoring = false;
      };
    },
    probe: async () => this.node.round,
    reachesAgent: async () => true,
    signals: this.signals,
    startAgent: async (_args, socketPath) => {
      this.socketPaths.push(socketPath);
      const child = new Child(this.node.steps);
      this.children.push(child);
      return child;
    },
  };

  connect(clock: FakeClock): FakeAgent {
    const { handlers } = this;
    assert.ok(handlers, 'init does not listen');
    const agent = {};
    this.messages.push(handlers.status());
    return {
      ready: async (nonce) => {
        handlers.onReady(agent, nonce);
        await clock.advance(0);
      },
      withdraw: () => handlers.onWithdraw(agent),
      end: async () => {
        handlers.onGone(agent);
        await settle();
      },
    };
  }
}

type Given = Pick<ServiceParts, 'options' | 'plan' | 'system' | 'clock' | 'log' | 'lifecycle'>;

/** Assembles the service as `stay.ts` does, with a fake firewall and without a link. */
function serviceOn(edge: FakeEdge, given: Given, isOwner: boolean): Service {
  const { options, plan, clock, log } = given;
  const firewall = options.setupRules ? fakeFirewall(edge.node, isOwner) : undefined;
  const link = undefined;
  const fallback = new FallbackReadiness({
    ...{ possible: plan.fallback, isServed: async () => true, obstacle: undefined },
    ...{ endpoints: undefined, log },
  });
  const pass = (): Promise<boolean> => reconciler.pass();
  const kept = new KeptIps({ ...given, link, standingIps: async () => [], pass });
  const look = () => lookAtNode({ firewall, fallback, kept });
  const reconciler = new Reconciler({
    ...{ link, firewall, plan, look, clock, log, syncIntervalMs: 60_000 },
    onChange: () => service.onRules(),
  });
  const service = new Service({
    ...{ ...given, firewall, reconciler, fallback, kept, endpoints: undefined },
    takeover: { watch: async () => undefined, stop: () => undefined },
    edge: edge.edge,
  });
  return service;
}

/** Starts init and waits for its first pass. */
export async function startFakeInit(given: FakeInitOptions = {}) {
  const { isOwner = true, localIps = '169.254.20.10', argv = [] } = given;
  const options = initOptionsFrom(['--localip', localIps, ...argv]);
  const plan = planOf({ ...options, clusterIps: [] });
  const clock = new FakeClock();
  const edge = new FakeEdge(given.cannotListen);
  const { node, messages, children, socketPaths, signals } = edge;
  const { system, calls } = fakeSystem(fakePrograms(localIps));
  const { log, lines } = fakeLog();
  const lifecycle = new Lifecycle();
  const service = serviceOn(edge, { options, plan, system, clock, log, lifecycle }, isOwner);
  const exited = service.run();
  let code: number | undefined;
  void exited.then(
    (ended) => {
      code = ended;
    },
    () => undefined,
  );
  await settle();
  const status = () => messages.findLast((message) => message.type === 'status');
  return {
    ...{ clock, node, lines, messages, children, socketPaths, signals, calls, exited },
    connect: () => edge.connect(clock),
    /** The last status that init has sent to agents. */
    status,
    state: () => status()?.state,
    phase: (): State => lifecycle.state,
    code: () => code,
    isMonitoring: () => edge.isMonitoring,
    /** Another program has removed rules. */
    disturb: async () => {
      node.areRulesChanged = true;
      edge.report();
      await settle();
    },
    loseOwner: async () => {
      lifecycle.send('owner-ended');
      await settle();
    },
    signal: async (name: 'SIGTERM' | 'SIGINT' | 'SIGUSR1') => {
      signals.emit(name, name);
      await settle();
    },
  };
}

/** Starts init with an agent for which it intercepts. */
export async function intercepting(given: FakeInitOptions = {}) {
  const init = await startFakeInit(given);
  const agent = init.connect();
  init.node.round = answered('me');
  await agent.ready('me');
  assert.equal(init.state(), init.node.steps.length > 0 ? 'intercepting' : 'off');
  init.node.steps.length = 0;
  return { ...init, agent };
}
