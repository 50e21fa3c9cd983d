/** The health of every upstream in use, each way of checking it once: it is shared by groups and outlives reloads. */
import { Health, type HealthContext, type HealthSettings } from './health.ts';
import type { Target } from './target.ts';

interface Entry {
  readonly health: Health;
  users: number;
}

export class Checks {
  readonly #context: HealthContext;
  readonly #entries = new Map<string, Entry>();

  constructor(context: HealthContext) {
    this.#context = context;
  }

  /** One more user of the health of `target` as `settings` measure it. */
  acquire(target: Target, settings: HealthSettings): Health {
    const key = keyOf(target, settings);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { health: new Health(target, settings, this.#context), users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users++;
    return entry.health;
  }

  /** One user less; the last one ends the probes. */
  release(target: Target, settings: HealthSettings): void {
    const key = keyOf(target, settings);
    const entry = this.#entries.get(key);
    if (entry === undefined || --entry.users > 0) return;
    this.#entries.delete(key);
    entry.health.stop();
  }
}

function keyOf(target: Target, settings: HealthSettings): string {
  const { proxyName, transport, maxFails, options } = settings;
  const { intervalMs, recursionDesired, domain } = options;
  const words = [proxyName, transport, maxFails, intervalMs, recursionDesired];
  return [target.name, ...words, Buffer.from(domain).toString('hex')].join(' ');
}
