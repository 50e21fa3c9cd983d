/**
 * Probes the agent and judges what the probes find: proven, answering, hanging, not there. What follows from a judgement
 * is the business of `init/control/machine.ts`; here are the counts and the times. init probes while an agent says that it
 * is ready, or as long as no agent ever said so.
 */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import type { Event } from '../control/machine.ts';
import type { Round } from './probe.ts';

const ROUND_INTERVAL_MS = 250;
/** While no agent was ever ready and none answers. */
const IDLE_INTERVAL_MS = 1_000;
/** Failed rounds in a row after which the agent hangs, or is not there. */
export const MAX_FAILURES = 3;
/** No agent is proven for this long after one hung, so that a node does not flap. */
const HOLD_OFF_MS = 60_000;
/** Good rounds in a row that prove an agent after one hung. */
const STEADY_ROUNDS = 8;

/** What `AgentHealth` needs of init. */
export interface HealthParts {
  readonly clock: Clock;
  /** Never rejects. */
  readonly probe: () => Promise<Round>;
  /** Whether init wants query rules: then every probe without an answer counts, and rounds are frequent. */
  readonly isIntercepting: () => boolean;
  readonly send: (
    event: Extract<
      Event,
      | 'agent-proven'
      | 'agent-answered'
      | 'probe-missed'
      | 'agent-unresponsive'
      | 'agent-refused'
      | 'agent-left'
    >,
  ) => void;
}

/**
 * Only looks: it sends events and changes nothing. The next round is due after 250 ms, or after 1 s while no agent was
 * ever ready and init wants no query rules.
 */
export class AgentHealth {
  readonly #parts: HealthParts;
  /** Agents that are ready, by their connection, with their nonces. */
  readonly #ready = new Map<object, string | undefined>();
  #wasReady = false;
  #failures = 0;
  #goodRounds = 0;
  #heldUntilMs: number | undefined;
  #silent: readonly string[] = [];
  #timer: Timer | undefined;
  #isProbing = false;
  #isStopped = false;
  #probeFailures = 0;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** Probes without an answer, although an agent had said that it answers or init intercepts. */
  get probeFailures(): number {
    return this.#probeFailures;
  }

  /** What did not answer in the last round: `udp 169.254.20.10` and the like. */
  get silent(): readonly string[] {
    return this.#silent;
  }

  /** After a hang: time before the agent may be trusted again, 0 if it is over; undefined if it is trusted. */
  get untilTrustedMs(): number | undefined {
    if (this.#heldUntilMs === undefined) return undefined;
    return Math.max(0, this.#heldUntilMs - this.#parts.clock.nowMs());
  }

  /** The first round is due at once. */
  start(): void {
    this.#schedule(0);
  }

  /** For good: later calls start no round. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** An agent says that it answers. A round of probes that brings its nonce proves it. */
  ready(agent: object, nonce: string | undefined): void {
    this.#wasReady = true;
    this.#ready.set(agent, nonce);
    this.#schedule(0);
  }

  /** Whether this agent has said that it answers, and has not left since. */
  isReady(agent: object): boolean {
    return this.#ready.has(agent);
  }

  /** An agent said goodbye, or its connection ended. */
  leave(agent: object): void {
    if (this.#ready.delete(agent) && this.#ready.size === 0) this.#parts.send('agent-left');
  }

  /** An agent hung: from now on it takes time and steady answers to prove one. */
  holdOff(): void {
    this.#heldUntilMs = this.#parts.clock.nowMs() + HOLD_OFF_MS;
  }

  async #probe(): Promise<void> {
    if (this.#isProbing || !this.#mayProbe()) return;
    this.#isProbing = true;
    const round = await this.#parts.probe();
    this.#isProbing = false;
    if (this.#isStopped || !this.#mayProbe()) return;
    this.#silent = round.silent;
    if (round.silent.length === 0) this.#onAnswered(round);
    else this.#onMissed(round);
    const isClose = this.#wasReady || this.#parts.isIntercepting();
    this.#schedule(isClose ? ROUND_INTERVAL_MS : IDLE_INTERVAL_MS);
  }

  #onAnswered({ names }: Round): void {
    this.#failures = 0;
    this.#goodRounds++;
    if (!this.#isOurs(names) || !this.#isSteady()) {
      this.#parts.send('agent-answered');
      return;
    }
    this.#heldUntilMs = undefined;
    this.#parts.send('agent-proven');
  }

  #onMissed({ silent, isRefused }: Round): void {
    this.#failures++;
    this.#goodRounds = 0;
    if (this.#parts.isIntercepting() || this.#ready.size > 0) this.#probeFailures += silent.length;
    this.#parts.send('probe-missed');
    if (this.#failures === MAX_FAILURES)
      this.#parts.send(isRefused ? 'agent-refused' : 'agent-unresponsive');
  }

  /** During an upgrade another nodens may answer: it serves, but proves nothing about ours. */
  #isOurs(names: ReadonlySet<string>): boolean {
    const nonces = [...this.#ready.values()].filter((nonce) => nonce !== undefined);
    return nonces.length === 0 || nonces.some((nonce) => names.has(nonce));
  }

  #isSteady(): boolean {
    if (this.#heldUntilMs === undefined) return true;
    return this.#goodRounds >= STEADY_ROUNDS && this.#parts.clock.nowMs() >= this.#heldUntilMs;
  }

  /** An agent that drains still answers, and must not be intercepted again: after a goodbye only `ready` counts. */
  #mayProbe(): boolean {
    return !this.#wasReady || this.#ready.size > 0;
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#isStopped || !this.#mayProbe()) return;
    this.#timer = this.#parts.clock.after(delayMs, () => void this.#probe());
  }
}
