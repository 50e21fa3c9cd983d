/** The health of every upstream in use, one instance per settings: groups share it and it outlives reloads. */

import type { Upstream } from '../upstream.ts';
import {
  HEALTH_STATES,
  Health,
  type HealthContext,
  type HealthSettings,
  type HealthState,
} from './health.ts';

interface Entry {
  readonly health: Health;
  readonly to: string;
  users: number;
}

/** Counts users: each `acquire` needs one `release` with the same upstream and equal settings. */
export class HealthRegistry {
  readonly #context: HealthContext;
  readonly #entries = new Map<Upstream, Map<string, Entry>>();

  constructor(context: HealthContext) {
    this.#context = context;
  }

  /** Adds a user of `upstream`'s health as `settings` measure it. */
  acquire(upstream: Upstream, settings: HealthSettings): Health {
    const key = keyOf(settings);
    const ways = this.#entries.get(upstream) ?? new Map<string, Entry>();
    this.#entries.set(upstream, ways);
    let entry = ways.get(key);
    if (entry === undefined) {
      const health = new Health(upstream, settings, this.#context);
      entry = { health, to: upstream.name, users: 0 };
      ways.set(key, entry);
      this.#show(upstream.name);
    }
    entry.users++;
    return entry.health;
  }

  /** Removes a user; without users the probes end. */
  release(upstream: Upstream, settings: HealthSettings): void {
    const key = keyOf(settings);
    const ways = this.#entries.get(upstream);
    const entry = ways?.get(key);
    if (ways === undefined || entry === undefined || --entry.users > 0) return;
    ways.delete(key);
    if (ways.size === 0) this.#entries.delete(upstream);
    entry.health.stop();
    if (this.#of(entry.to).length === 0) this.#hide(entry.to);
  }

  #of(to: string): Health[] {
    const ways = [...this.#entries.values()].flatMap((entries) => [...entries.values()]);
    return ways.filter((entry) => entry.to === to).map(({ health }) => health);
  }

  /** The worst state under any settings. */
  #stateOf(to: string): HealthState {
    const states = this.#of(to).map(({ state }) => state);
    return HEALTH_STATES.findLast((state) => states.includes(state)) ?? 'up';
  }

  #show(to: string): void {
    for (const state of HEALTH_STATES) {
      const read = (): number => Number(this.#stateOf(to) === state);
      this.#context.metrics.gaugeFrom('nodens_upstream_state', { to, state }, read);
    }
  }

  #hide(to: string): void {
    for (const state of HEALTH_STATES)
      this.#context.metrics.drop('nodens_upstream_state', { to, state });
  }
}

function keyOf(settings: HealthSettings): string {
  const { proxyName, transport, maxFails, options } = settings;
  const { intervalMs, recursionDesired, domain } = options;
  const words = [proxyName, transport, maxFails, intervalMs, recursionDesired];
  return [...words, Buffer.from(domain).toString('hex')].join(' ');
}
