/** All upstreams in use, each once: groups and configurations that want the same of the same address share it. */

import { type Endpoint, formatEndpoint } from '../base/address.ts';
import type { Timer } from '../base/clock.ts';
import { Target, type TargetContext, type TargetSettings } from './upstream.ts';

/** How often sockets are looked after, milliseconds: the precision of `expire` and of socket ages. */
const TIDY_MS = 1_000;

interface Entry {
  readonly target: Target;
  users: number;
}

export class Registry {
  readonly #context: TargetContext;
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new WeakMap<Target, string>();
  #timer: Timer | undefined;

  constructor(context: TargetContext) {
    this.#context = context;
  }

  /** One more user of the upstream at `endpoint`. Throws where its TLS settings are unusable. */
  acquire(endpoint: Endpoint, settings: TargetSettings): Target {
    const key = `${formatEndpoint(endpoint)} ${JSON.stringify(settings)}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { target: new Target(endpoint, settings, this.#context), users: 0 };
      this.#entries.set(key, entry);
      this.#keys.set(entry.target, key);
    }
    entry.users++;
    this.#timer ??= this.#context.clock.every(TIDY_MS, () => this.#tidy());
    return entry.target;
  }

  /** One user less; the last one closes it. */
  release(target: Target): void {
    const key = this.#keys.get(target) ?? '';
    const entry = this.#entries.get(key);
    if (entry === undefined || --entry.users > 0) return;
    this.#entries.delete(key);
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
