/**
 * Decides whether the agent is there to take what interception brings: by what it says on the control socket, or, as
 * long as no agent ever connected, by asking it again and again.
 */
import type { Clock, Timer } from '../agent/base/clock.ts';

const PROBE_INTERVAL_MS = 1_000;
/** Unanswered probes in a row that count as gone. */
const MAX_SILENCE = 3;

export interface WatchParts {
  readonly clock: Clock;
  /** Resolves to whether the agent answers a query; never rejects. */
  readonly probe: () => Promise<boolean>;
  /** Called on every change of mind; `true`: intercept. */
  readonly onVerdict: (answers: boolean) => Promise<void>;
}

export class AgentWatch {
  readonly #parts: WatchParts;
  readonly #ready = new Set<object>();
  #spoken = false;
  #verdict = false;
  #silence = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** An agent says that it answers: believed after one answered probe. */
  ready(agent: object): void {
    this.#spoken = true;
    this.#ready.add(agent);
    void this.#ask();
  }

  /** An agent leaves, or is gone. Resolves when interception is gone too, unless another agent is ready. */
  async leave(agent: object): Promise<void> {
    if (this.#ready.delete(agent) && this.#ready.size === 0) await this.#decide(false);
  }

  async #ask(): Promise<void> {
    const answered = await this.#parts.probe();
    if (this.#stopped || !this.#mayAsk()) return;
    this.#silence = answered ? 0 : this.#silence + 1;
    if (answered) await this.#decide(true);
    else if (!this.#spoken && this.#silence >= MAX_SILENCE) await this.#decide(false);
    this.#schedule();
  }

  /** Who has used the socket is judged by it: an agent that drains still answers and must not be brought back. */
  #mayAsk(): boolean {
    return this.#spoken ? this.#ready.size > 0 && !this.#verdict : true;
  }

  #schedule(): void {
    this.#timer?.cancel();
    if (this.#stopped || !this.#mayAsk()) return;
    this.#timer = this.#parts.clock.after(PROBE_INTERVAL_MS, () => void this.#ask());
  }

  async #decide(answers: boolean): Promise<void> {
    if (answers === this.#verdict) return;
    this.#verdict = answers;
    await this.#parts.onVerdict(answers);
  }
}
