/** All upstreams in use, each once: groups and configurations with the same address and settings share one. */

import { type Endpoint, formatEndpoint } from '../base/address.ts';
import type { Timer } from '../base/clock.ts';
import { Upstream, type UpstreamContext, type UpstreamSettings } from './upstream.ts';

/** How often sockets are checked, milliseconds: the precision of `expire` and of socket ages. */
const TIDY_MS = 1_000;

interface Entry {
  readonly upstream: Upstream;
  users: number;
}

/** Counts users: each `acquire` needs one `release`. One timer maintains the sockets of all upstreams. */
export class Registry {
  readonly #context: UpstreamContext;
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new WeakMap<Upstream, string>();
  #timer: Timer | undefined;

  constructor(context: UpstreamContext) {
    this.#context = context;
  }

  /** Adds a user of the upstream at `endpoint`. Throws if its TLS settings are unusable. */
  acquire(endpoint: Endpoint, settings: UpstreamSettings): Upstream {
    const key = `${formatEndpoint(endpoint)} ${JSON.stringify(settings)}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { upstream: new Upstream(endpoint, settings, this.#context), users: 0 };
      this.#entries.set(key, entry);
      this.#keys.set(entry.upstream, key);
    }
    entry.users++;
    this.#timer ??= this.#context.clock.every(TIDY_MS, () => this.#tidy());
    return entry.upstream;
  }

  /** Removes a user; without users the upstream is closed. */
  release(upstream: Upstream): void {
    const key = this.#keys.get(upstream) ?? '';
    const entry = this.#entries.get(key);
    if (entry === undefined || --entry.users > 0) return;
    this.#entries.delete(key);
    upstream.close();
    if (this.#entries.size === 0) this.#stop();
  }

  /** Closes every upstream, whatever its users; queries in flight fail. A later `release` does nothing. */
  closeAll(): void {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { upstream } of entries) upstream.close();
    this.#stop();
  }

  #tidy(): void {
    for (const { upstream } of this.#entries.values()) upstream.tidy();
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
