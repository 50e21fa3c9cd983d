/** Upstreams that say nothing of use, and how long they may count as healthy (invariant 6 of an outage). */
import assert from 'node:assert/strict';

/** Names that such an upstream must have been asked, and the time after that, before it has to count as unhealthy. */
const ENOUGH_NAMES = 12;
const SETTLED_MS = 5_000;

/** What an upstream that says nothing of use has been asked since it began to. */
interface Uselessness {
  readonly sinceMs: number;
  readonly names: Set<string>;
  /** When there were enough of them. */
  enoughMs: number;
}

export class UselessUpstreams {
  readonly #now: () => number;
  readonly #upstreams = new Map<string, Uselessness>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether an upstream says nothing of use, whatever it is asked, from now on, or begins to do so in another way. */
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
    // Before that, good replies to earlier queries may still come.
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

  /** What was known of their health is forgotten. */
  learnAnew(): void {
    for (const upstream of this.#upstreams.keys()) this.behaves(upstream, true);
  }
}
