/**
 * Decides whether the agent is there to take what interception brings: by what it says on the control socket, and by
 * probing it as long as it says that it is there, or as long as no agent ever connected.
 */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import type { Round } from './probe.ts';

const ROUND_INTERVAL_MS = 250;
/** While nobody has said anything and nobody answers. */
const IDLE_INTERVAL_MS = 1_000;
/** Failed rounds in a row that count as gone. */
const MAX_FAILURES = 3;
/** An agent that hung is not trusted again for this long, so that a node does not flap. */
const HOLD_OFF_MS = 60_000;
/** Good rounds in a row after which an agent that hung is trusted again. */
const STEADY_ROUNDS = 8;

export interface WatchParts {
  readonly clock: Clock;
  /** Never rejects. */
  readonly probe: () => Promise<Round>;
  /** Called on every change of mind; `true`: intercept. */
  readonly onVerdict: (answers: boolean) => Promise<void>;
  /** The agent was there and does not answer any more: what did not answer. */
  readonly onWedge: (silent: readonly string[]) => void;
}

export class AgentWatch {
  readonly #parts: WatchParts;
  /** Agents that are ready, by their connection, with their nonces. */
  readonly #ready = new Map<object, string | undefined>();
  #spoken = false;
  #verdict = false;
  #failures = 0;
  #goodRounds = 0;
  #heldUntilMs: number | undefined;
  #timer: Timer | undefined;
  #isAsking = false;
  #stopped = false;
  #flaps = 0;
  #probeFailures = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** How often interception went although the agent lived on, because it hung. */
  get flaps(): number {
    return this.#flaps;
  }

  /** Probes that found no answer although an agent had said that it answers. */
  get probeFailures(): number {
    return this.#probeFailures;
  }

  /** Whether the last round was answered everywhere. */
  get answers(): boolean {
    return this.#goodRounds > 0;
  }

  start(): void {
    this.#schedule(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** An agent says that it answers: believed after a round of probes that brings its nonce. */
  ready(agent: object, nonce: string | undefined): void {
    this.#spoken = true;
    this.#ready.set(agent, nonce);
    this.#schedule(0);
  }

  /** Whether this agent has said that it answers, and has not left since. */
  isReady(agent: object): boolean {
    return this.#ready.has(agent);
  }

  /** An agent leaves, or is gone. Resolves when interception is gone too, unless another agent is ready. */
  async leave(agent: object): Promise<void> {
    if (!this.#ready.delete(agent) || this.#ready.size > 0) return;
    if (!this.#stopped) await this.#decide(false);
  }

  async #ask(): Promise<void> {
    if (this.#isAsking || !this.#mayAsk()) return;
    this.#isAsking = true;
    const round = await this.#parts.probe();
    this.#isAsking = false;
    if (this.#stopped || !this.#mayAsk()) return;
    if (round.silent.length === 0) await this.#heard(round);
    else await this.#missed(round);
    this.#schedule(this.#spoken || this.#verdict ? ROUND_INTERVAL_MS : IDLE_INTERVAL_MS);
  }

  async #heard({ names }: Round): Promise<void> {
    this.#failures = 0;
    this.#goodRounds++;
    if (this.#verdict || !this.#isOurs(names) || !this.#isSteady()) return;
    this.#heldUntilMs = undefined;
    await this.#decide(true);
  }

  async #missed({ silent, isRefused }: Round): Promise<void> {
    this.#failures++;
    this.#goodRounds = 0;
    if (this.#verdict || this.#ready.size > 0) this.#probeFailures += silent.length;
    if (!this.#verdict || this.#failures !== MAX_FAILURES) return;
    if (!isRefused) {
      this.#heldUntilMs = this.#parts.clock.nowMs() + HOLD_OFF_MS;
      this.#flaps++;
    }
    await this.#decide(false);
    if (!isRefused) this.#parts.onWedge(silent);
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

  /** Who has used the socket is judged by it: an agent that drains still answers and must not be brought back. */
  #mayAsk(): boolean {
    return !this.#spoken || this.#ready.size > 0;
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#stopped || !this.#mayAsk()) return;
    this.#timer = this.#parts.clock.after(delayMs, () => void this.#ask());
  }

  async #decide(answers: boolean): Promise<void> {
    if (answers === this.#verdict) return;
    this.#verdict = answers;
    await this.#parts.onVerdict(answers);
  }
}
