/** All upstreams in use, each once: groups and configurations that name the same address share it. */
import { type Endpoint, formatEndpoint } from '../base/address.ts';
import type { Timer } from '../base/clock.ts';
import { Target, type TargetContext } from './target.ts';

/** How often sockets are looked after, milliseconds: the precision of `expire` and of socket ages. */
const TIDY_MS = 1_000;

interface Entry {
  readonly target: Target;
  /** `expire` of every user; the longest counts. */
  readonly expiries: number[];
}

export class Registry {
  readonly #context: TargetContext;
  readonly #entries = new Map<string, Entry>();
  #timer: Timer | undefined;

  constructor(context: TargetContext) {
    this.#context = context;
  }

  /** One more user of the upstream at `endpoint`. */
  acquire(endpoint: Endpoint, expireMs: number): Target {
    const name = formatEndpoint(endpoint);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { target: new Target(endpoint, this.#context), expiries: [] };
      this.#entries.set(name, entry);
    }
    entry.expiries.push(expireMs);
    entry.target.tcp.expireMs = Math.max(...entry.expiries);
    this.#timer ??= this.#context.clock.every(TIDY_MS, () => this.#tidy());
    return entry.target;
  }

  /** One user less; the last one closes it. */
  release(target: Target, expireMs: number): void {
    const entry = this.#entries.get(target.name);
    if (entry === undefined || entry.target !== target) return;
    entry.expiries.splice(entry.expiries.indexOf(expireMs), 1);
    if (entry.expiries.length > 0) {
      target.tcp.expireMs = Math.max(...entry.expiries);
      return;
    }
    this.#entries.delete(target.name);
    target.close();
    if (this.#entries.size === 0) this.#stop();
  }

  closeAll(): void {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { target } of entries) target.close();
    this.#stop();
  }

  #tidy(): void {
    for (const { target } of this.#entries.values()) target.tidy();
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
