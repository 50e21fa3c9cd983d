/**
 * Follows kube-dns's endpoints as long as the fallback needs them: asks again when the TTL ends, and more often while
 * clients depend on them.
 */
import type { Endpoint } from '../../agent/base/address.ts';
import type { Clock, Timer } from '../../agent/base/clock.ts';
import { messageOf } from '../../agent/base/errors.ts';
import { NoAnswerError } from './ask.ts';
import type { Found } from './lookup.ts';
import { areSame, type Endpoints, NO_ENDPOINTS, without } from './set.ts';

/** Bounds for the records' TTL: every node asks. */
const MIN_INTERVAL_MS = 5_000;
const MAX_INTERVAL_MS = 30_000;
/** While the agent does not serve: with each endpoint that ends, its share of the clients gets no answer. */
const USED_INTERVAL_MS = 2_000;
/** How long endpoints are kept without an answer that confirms them. Later another pod may have their addresses. */
const LAST_KNOWN_MS = 600_000;
/** Endpoints that init asks where no Service's address answers. */
const MAX_ASKED_ENDPOINTS = 3;

/** What the follower needs of the node and of the cluster's DNS; tests replace each. */
export interface FollowParts {
  readonly clock: Clock;
  /** Asks the endpoints `known` as well, where no other server answers. Rejects with `NoAnswerError`. */
  readonly lookup: (known: readonly Endpoint[]) => Promise<Found>;
  /** Endpoints in the kernel's rules, which an earlier init installed. Never rejects. */
  readonly inKernel: () => Promise<Endpoints>;
  /** One pass over the rules, for other endpoints; resolves to whether they are in place. */
  readonly pass: () => Promise<boolean>;
  /** Ends the flows to endpoints that the rules do not lead to any more. Never rejects. */
  readonly removeFlows: (gone: Endpoints) => Promise<void>;
}

/**
 * Once wanted, asks every 5 to 30 s, by the TTL of the records, and every 2 s while clients depend on the fallback.
 * Without an answer it keeps the endpoints that it knows for 10 minutes.
 */
export class EndpointFollower {
  readonly #parts: FollowParts;
  #known = NO_ENDPOINTS;
  #reason = 'kube-dns was not asked for its endpoints yet';
  #knownMs = 0;
  /** Endpoints that flows may still go to, because the kernel had rules for them. */
  #redirected = NO_ENDPOINTS;
  #lastLearned = '';
  #isNeeded = false;
  #isUsed = true;
  #isAsking = false;
  #isStopped = false;
  #timer: Timer | undefined;

  constructor(parts: FollowParts) {
    this.#parts = parts;
  }

  /** Endpoints for the rules. */
  get known(): Endpoints {
    return this.#known;
  }

  /** Why there are none, or why they may be out of date; otherwise empty. */
  get reason(): string {
    return this.#reason;
  }

  /** Starts with the endpoints in the kernel's rules, until a server answers. */
  async adopt(): Promise<void> {
    this.#known = await this.#parts.inKernel();
    this.#redirected = this.#known;
    this.#knownMs = this.#parts.clock.nowMs();
  }

  /** From now on the fallback needs endpoints: before, init does not ask for them. */
  want(): void {
    if (this.#isNeeded) return;
    this.#isNeeded = true;
    this.#schedule(0);
  }

  /** Whether clients depend on the endpoints now, or only would in an outage. */
  use(isUsed: boolean): void {
    if (isUsed === this.#isUsed) return;
    this.#isUsed = isUsed;
    if (isUsed) this.#schedule(0);
  }

  /** Rules stay as they are. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Asks now, once; never rejects. */
  async ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const intervalMs = await this.#ask();
    this.#isAsking = false;
    this.#schedule(this.#isUsed ? Math.min(intervalMs, USED_INTERVAL_MS) : intervalMs);
  }

  async #ask(): Promise<number> {
    const { clock, lookup } = this.#parts;
    try {
      const found = await lookup(this.#known.tcp.slice(0, MAX_ASKED_ENDPOINTS));
      if (!this.#mayAsk()) return MAX_INTERVAL_MS;
      this.#knownMs = clock.nowMs();
      this.#reason = found.reason ?? '';
      await this.#learn(found.endpoints);
      return Math.min(Math.max(found.ttlSeconds * 1_000, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      if (!this.#mayAsk()) return MAX_INTERVAL_MS;
      this.#reason = messageOf(error);
      const isOld = clock.nowMs() - this.#knownMs > LAST_KNOWN_MS;
      await this.#learn(isOld ? NO_ENDPOINTS : this.#known);
      return MIN_INTERVAL_MS;
    }
  }

  /** Removes flows after the rules have changed: a client's next packet must match the new rules. */
  async #learn(endpoints: Endpoints): Promise<void> {
    this.#known = endpoints;
    const news = JSON.stringify([endpoints, this.#reason]);
    if (news === this.#lastLearned && areSame(endpoints, this.#redirected)) return;
    this.#lastLearned = news;
    if (!(await this.#parts.pass()) || areSame(endpoints, this.#redirected)) return;
    const gone = without(this.#redirected, endpoints);
    this.#redirected = endpoints;
    await this.#parts.removeFlows(gone);
  }

  #mayAsk(): boolean {
    return this.#isNeeded && !this.#isStopped;
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#mayAsk()) this.#timer = this.#parts.clock.after(delayMs, () => void this.ask());
  }
}
