/** `nodens init` as it stays: the service, the agent as its child where it has one, and the way out. */
import { type Clock, sleep } from '../agent/base/clock.ts';
import { type AgentChild, Supervisor } from './agent/supervisor.ts';
import type { Service } from './control/service.ts';
import type { Log } from './log.ts';
import { prepareStateDir } from './node/state-dir.ts';
import type { InitOptions } from './options.ts';

/** Withdrawal on the way out may wait for a lock, but not longer than this: the kubelet kills after 30 s. */
const WITHDRAW_BOUND_MS = 6_000;
/** A hanging agent may come to itself for this long after it was withdrawn. */
const WEDGE_GRACE_MS = 3_000;

export interface RunParts {
  readonly options: InitOptions;
  readonly edge: RunEdge;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a run does with the process and its child; tests replace it. */
export interface RunEdge {
  readonly signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  /** Drop-in mode: the agent with these arguments, told the path of the control socket, empty for none. */
  readonly startAgent: (args: readonly string[], socketPath: string) => Promise<AgentChild>;
}

/** Runs until a signal or the child's end; resolves to the exit code. */
export async function run(service: Service, parts: RunParts): Promise<number> {
  const { options, edge, clock, log } = parts;
  const signal = firstSignal(edge.signals);
  await service.listen();
  // None waits for another: the agent binds as soon as it can, and somebody's lock is no reason not to serve.
  void service.setUp();
  if (options.stateDir !== undefined) void prepareStateDir(options.stateDir, log);
  const child = supervisor(service, parts);
  service.onWedge = () => void endWedge(service, child, parts);
  await child?.start();
  const passUsr1 = (): void => child?.kill('SIGUSR1');
  if (child !== undefined) edge.signals.on('SIGUSR1', passUsr1);

  const end = await Promise.race([signal, ...(child === undefined ? [] : [child.exited])]);
  log.info('stopping', typeof end === 'number' ? { agentExitCode: end } : { signal: end });
  await Promise.race([service.withdraw(), sleep(clock, WITHDRAW_BOUND_MS)]);
  const code = await childCode(child, end);
  await service.stop();
  edge.signals.off('SIGUSR1', passUsr1);
  return code;
}

function supervisor(service: Service, { options, edge, clock }: RunParts): Supervisor | undefined {
  const args = options.supervise;
  if (args === undefined) return undefined;
  return new Supervisor(clock, () =>
    edge.startAgent(args, service.hearsAgents ? options.socketPath : ''),
  );
}

/** As a sidecar init has no say over the agent: its liveness probe ends it. */
async function endWedge(
  service: Service,
  child: Supervisor | undefined,
  { clock, log }: RunParts,
): Promise<void> {
  if (child === undefined) return;
  await sleep(clock, WEDGE_GRACE_MS);
  if (service.agentAnswers) return;
  log.warn('agent unresponsive: restarting it', { event: 'agent-restart' });
  await child.restart();
}

async function childCode(
  child: Supervisor | undefined,
  end: NodeJS.Signals | number,
): Promise<number> {
  if (typeof end === 'number') return end;
  child?.stop(end);
  return (await child?.exited) ?? 0;
}

function firstSignal(signals: RunEdge['signals']): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) signals.on(signal, resolve);
  });
}
