/**
 * Where the walk of a name ended for a client, for a few seconds: A and AAAA of one name end at the same element, and a
 * client that repeats its question causes no second walk. Bounded, whatever clients ask.
 */
import { TYPE } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import type { Follower } from './follower.ts';
import { FAILED, type Outcome } from './outcome.ts';

/** How long a decision holds, milliseconds; not longer than denials of cluster names are cached. */
const LIFE_MS = 5_000;
/** How much longer for the type that has not been asked yet while the other was: they belong to one lookup. */
const PAIR_MS = 2_000;
/** How long a client is taken to walk itself after it was left to, milliseconds: a walk may have to wait for timeouts. */
const OWN_WALK_MS = 30_000;
/** Decisions that are kept, about 300 bytes each, and the composed answers. */
const MAX_DECISIONS = 2_048;
/** Slots of the filter that tells names without a decision apart, a power of two. */
const FILTER_SLOTS = 4_096;

/** A composed answer, and the answer at the element that it was made from. */
interface Composed {
  readonly source: Answer;
  readonly answer: Answer;
}

/** One walk of one client. */
export class Decision {
  readonly key: string;
  /** `clientKey` of the client that caused it. */
  readonly owner: string;
  readonly slot: number;
  readonly madeMs: number;
  /** Undefined while the walk is under way. */
  outcome: Outcome | undefined;
  /** Queries that wait for the outcome. */
  readonly followers = new Set<Follower>();
  /** When each type was asked last, by type. */
  readonly usedMs = new Map<number, number>();
  /** The name at the element of the outcome, lower-case wire form; set at its first use. */
  found: Uint8Array | undefined;
  /** Composed answers by type: the same source gives the same answer. */
  readonly composed = new Map<number, Composed>();

  /** When it was asked for last. */
  lastMs: number;

  constructor(key: string, owner: string, slot: number, nowMs: number) {
    this.lastMs = nowMs;
    this.key = key;
    this.owner = owner;
    this.slot = slot;
    this.madeMs = nowMs;
  }

  /** The walk has ended, or there is none. */
  settle(outcome: Outcome): void {
    this.outcome = outcome;
    for (const follower of this.followers) follower.end(outcome);
  }

  /** Whether no element was found because one could not be asked. */
  get hasFailed(): boolean {
    const element = this.outcome?.element;
    return element === 'failed' || element === 'limited';
  }

  /** Whether `type` is the other half of a lookup whose first half was left to the client. */
  isHalfLeft(type: number, nowMs: number): boolean {
    return this.hasFailed && !this.usedMs.has(type) && nowMs - this.lastMs < PAIR_MS;
  }

  /** A query of this type has been answered by it. */
  use(type: number, nowMs: number): void {
    this.usedMs.set(type, nowMs);
    this.lastMs = nowMs;
  }

  /** Whether it still decides for `type`. */
  holds(type: number, nowMs: number): boolean {
    const ageMs = nowMs - this.madeMs;
    if (ageMs < LIFE_MS) return true;
    if (ageMs >= LIFE_MS + PAIR_MS) return false;
    const otherMs = this.usedMs.get(type === TYPE.A ? TYPE.AAAA : TYPE.A) ?? -Infinity;
    return otherMs > (this.usedMs.get(type) ?? -Infinity) && nowMs - otherMs < PAIR_MS;
  }
}

/** Decisions of all clients by key, oldest first. */
export class Decisions {
  readonly #byKey = new Map<string, Decision>();
  /** The same by their owners, oldest first: of the one with the most the oldest is forgotten if there are too many. */
  readonly #byOwner = new Map<string, Set<Decision>>();
  /** How many decisions fall on each slot. */
  readonly #filter = new Uint16Array(FILTER_SLOTS);

  get size(): number {
    return this.#byKey.size;
  }

  /**
   * False only if no client has a decision for the name in the first `bytes` of `name`, or, where that is longer, for a
   * name of `bytes` that begins like it: cheap, for queries that need none.
   */
  mayHave(name: Uint8Array, bytes = name.length): boolean {
    return this.#byKey.size > 0 && this.#filter[slotOf(name, bytes)] !== 0;
  }

  /** The decision that holds for `type`. */
  find(key: string, type: number, nowMs: number): Decision | undefined {
    const found = this.#byKey.get(key);
    return found?.holds(type, nowMs) === true ? found : undefined;
  }

  /** Whether the client was left to walk itself lately, because no element was found. */
  isOwnWalk(key: string, nowMs: number): boolean {
    const found = this.#byKey.get(key);
    const element = found?.outcome?.element;
    return typeof element === 'string' && nowMs - (found?.lastMs ?? 0) < OWN_WALK_MS;
  }

  /** Begins a decision about `name` that `ending` settles. */
  begin(
    key: string,
    owner: string,
    name: Uint8Array,
    nowMs: number,
    ending: Promise<Outcome>,
  ): Decision {
    const before = this.#byKey.get(key);
    if (before !== undefined) this.forget(before);
    const decision = new Decision(key, owner, slotOf(name, name.length), nowMs);
    this.#byKey.set(key, decision);
    const owned = this.#byOwner.get(owner) ?? new Set();
    this.#byOwner.set(owner, owned.add(decision));
    this.#filter[decision.slot] = (this.#filter[decision.slot] as number) + 1;
    this.#makeRoom(nowMs);
    void ending.then((outcome) => decision.settle(outcome));
    return decision;
  }

  /** Remembers that a client walks itself, from `name` on, which it has asked for `type`. */
  leave(key: string, owner: string, name: Uint8Array, type: number, nowMs: number): void {
    let decision = this.find(key, type, nowMs);
    // One that failed remembers which types of the lookup were left to the client.
    if (decision?.hasFailed !== true) {
      decision = this.begin(key, owner, name, nowMs, OWN_WALK);
      decision.settle(FAILED);
    }
    decision.use(type, nowMs);
  }

  forget(decision: Decision): void {
    if (this.#byKey.get(decision.key) !== decision) return;
    this.#byKey.delete(decision.key);
    const owned = this.#byOwner.get(decision.owner);
    owned?.delete(decision);
    if (owned?.size === 0) this.#byOwner.delete(decision.owner);
    this.#filter[decision.slot] = (this.#filter[decision.slot] as number) - 1;
  }

  /** A client that asks for many names must not make the agent forget that another one walks itself. */
  #makeRoom(nowMs: number): void {
    for (const oldest of this.#byKey.values()) {
      if (nowMs - oldest.lastMs < OWN_WALK_MS) break;
      this.forget(oldest);
    }
    if (this.#byKey.size <= MAX_DECISIONS) return;
    let most: ReadonlySet<Decision> = new Set();
    for (const owned of this.#byOwner.values()) if (owned.size > most.size) most = owned;
    for (const oldest of most) {
      this.forget(oldest);
      return;
    }
  }
}

const OWN_WALK = Promise.resolve(FAILED);

/** Bytes of a name that its slot depends on, besides its length: the first labels differ most. */
const HASHED_BYTES = 12;

function slotOf(name: Uint8Array, bytes: number): number {
  let hash = bytes;
  const end = Math.min(HASHED_BYTES, bytes, name.length);
  for (let i = 0; i < end; i++) hash = (hash * 31 + (name[i] as number)) | 0;
  return hash & (FILTER_SLOTS - 1);
}
