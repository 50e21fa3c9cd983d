/** Upstreams without a usable reply, and how long they may count as healthy (invariant 6 of an outage). */
import assert from 'node:assert/strict';

/** Names sent to such an upstream, and the time after that, before it must count as unhealthy. */
const ENOUGH_NAMES = 12;
const SETTLED_MS = 5_000;

/** The queries to a useless upstream since it became useless. */
interface Uselessness {
  readonly sinceMs: number;
  readonly names: Set<string>;
  /** The time at which there were enough of them. */
  enoughMs: number;
}

export class UselessUpstreams {
  readonly #now: () => number;
  readonly #upstreams = new Map<string, Uselessness>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Sets whether an upstream is useless from now on. Also called when its fault changes. */
  behaves(upstream: string, isUseless: boolean): void {
    if (!isUseless) this.#upstreams.delete(upstream);
    else {
      const never = Number.POSITIVE_INFINITY;
      this.#upstreams.set(upstream, { sinceMs: this.#now(), names: new Set(), enoughMs: never });
    }
  }

  /** A query for `name` has arrived at `upstream`. */
  arrived(upstream: string, name: string): void {
    const useless = this.#upstreams.get(upstream);
    // Before that, good replies to earlier queries may still arrive.
    if (useless !== undefined && this.#now() - useless.sinceMs >= SETTLED_MS)
      useless.names.add(name);
    if (useless?.names.size === ENOUGH_NAMES)
      useless.enoughMs = Math.min(useless.enoughMs, this.#now());
  }

  /** `up` are the upstreams that count as healthy. Returns how many checks it made. */
  judgeHealth(up: readonly string[]): number {
    let checks = 0;
    for (const [upstream, { enoughMs }] of this.#upstreams) {
      if (this.#now() - enoughMs < SETTLED_MS) continue;
      checks++;
      assert.ok(!up.includes(upstream), `${upstream} is useless, and up`);
    }
    return checks;
  }

  /** Forgets the known health of all upstreams. */
  learnAnew(): void {
    for (const upstream of this.#upstreams.keys()) this.behaves(upstream, true);
  }
}
