/** Answers the first query of a client's search list with what the whole list would lead to. */
import { ClientRates } from '../../base/clients/client-rates.ts';
import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { byteKey } from '../../dns/name.ts';
import type { Answer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import type { Services } from '../../query/services/services.ts';
import { aliased, nameExists } from './compose.ts';
import { type Decision, Decisions } from './decisions.ts';
import { FOLLOWER_BYTES, FOLLOWERS, Follower } from './follower.ts';
import type { Outcome } from './outcome.ts';
import type { Doubt } from './pods.ts';
import { baseBytes, dotsIn, expanded, type SearchList } from './search-list.ts';
import { Asker, otherType, type Walk, walk } from './walk.ts';

/** Why a client has no list, or none to rely on: `stale_watch` is a watch that may have missed something. */
export type NoList = Doubt | 'stale_watch' | 'no_list';

/** Where search lists come from: one file for every client, or the pods of the node. */
export interface SearchSource {
  /** False only if the first `length` bytes of `name` are below the first element of no list. Runs for every query. */
  readonly mayExpand: (name: Uint8Array, length: number) => boolean;
  readonly listOf: (query: Query) => SearchList | NoList;
  /** Clients with the same text share decisions. */
  readonly clientOf: (query: Query) => string;
}

/** How a candidate ended; label `result`. */
export type AutopathResult =
  | Exclude<NoList, 'no_list'>
  | 'found'
  | 'denied'
  | 'failed'
  | 'busy'
  | 'limited';

/** Both functions are called within the query and keep nothing of it. */
export interface AutopathOptions {
  readonly source: SearchSource;
  readonly clock: Clock;
  readonly ledger: MemoryLedger;
  readonly resolveNow: Services['resolveNow'];
  readonly count: (result: AutopathResult, query: Query) => void;
  /** Called for every expansion along `list` that is denied at the first element. */
  readonly onDenied: (list: SearchList) => void;
}

/** Types that clients look up along a search list. An alias is no answer for some other types. */
const TYPES: ReadonlySet<number> = new Set([
  ...[TYPE.A, TYPE.AAAA, TYPE.MX, TYPE.TXT, TYPE.SRV],
  ...[TYPE.SVCB, TYPE.HTTPS],
]);

/** Walks under way at once, of one client and of all. Beyond that clients walk themselves. */
const MAX_WALKS_OF_CLIENT = 128;
const MAX_WALKS = 1_024;

/**
 * Questions to upstreams that the walks of one client may cause, a second and at once after a pause. A list of 32 domains
 * makes 64 of one query, which the client would otherwise have to ask itself.
 */
const STEPS_PER_SECOND = 200;
const STEP_BURST = 1_000;

/** Longest composed answer that is kept for the next query, bytes. */
const MAX_KEPT_BYTES = 512;

/** An expansion that is denied at the first element, or was lately. */
interface Candidate extends Walk {
  readonly query: Query;
  /** The answer for the name as it was asked. */
  readonly first: Answer;
  readonly client: string;
}

/** One for each plugin. */
export class Autopath {
  readonly #options: AutopathOptions;
  readonly #decisions = new Decisions();
  readonly #walks = new Map<string, number>();
  readonly #rates: ClientRates;
  #allWalks = 0;

  constructor(options: AutopathOptions) {
    this.#options = options;
    this.#rates = new ClientRates(options.clock, STEPS_PER_SECOND, STEP_BURST);
  }

  /** Passes on what is no candidate. Of a candidate it looks at the first element's answer. */
  readonly handle = (query: Query, next: Handler): Result => {
    // A client that validates (DO) would refuse an alias without a signature.
    const isCandidate =
      this.#options.source.mayExpand(query.head.name, query.head.nameLength) &&
      TYPES.has(query.type) &&
      query.class === CLASS.IN &&
      query.recursionDesired &&
      !query.dnssecOk &&
      !query.isInternal;
    if (!isCandidate) return next(query);
    const result = next(query);
    if (result instanceof Promise) return result.then((first) => this.#first(query, first));
    return this.#first(query, result);
  };

  #first(query: Query, first: Answer): Result {
    const isDenied = first.rcode === RCODE.NXDOMAIN;
    // What exists at the first element ends the walk, unless the other type has just ended elsewhere.
    const { head } = query;
    if (!isDenied && !this.#decisions.mayHave(head.name, head.nameLength)) return first;
    const { source, onDenied } = this.#options;
    const list = source.listOf(query);
    if (typeof list === 'string') {
      if (isDenied && list !== 'no_list') this.#inDoubt(query, list);
      return first;
    }
    const { name, type } = query;
    const base = baseBytes(name, list);
    if (base === undefined || dotsIn(name, base) >= list.ndots) return first;
    const client = source.clientOf(query);
    const candidate = { query, first, name, type, base, list, client };
    if (this.#isOwnWalk(candidate)) return first;
    if (isDenied) onDenied(list);
    const decision = this.#decisionOf(candidate);
    if (decision !== undefined) return this.#follow(candidate, decision);
    return isDenied ? this.#begin(candidate) : first;
  }

  /** The client walks itself; its list may be known before it is done, and its last query is for the name as it is. */
  #inDoubt(query: Query, doubt: Exclude<NoList, 'no_list'>): void {
    const { source, count } = this.#options;
    count(doubt, query);
    if (doubt === 'host_network' || doubt === 'shared_address') return;
    this.#leave(query, source.clientOf(query), query.client.key);
  }

  /** The client is answered as without autopath, and walks itself. */
  #leave({ name, type, arrivedMs }: Query, client: string, owner: string): void {
    this.#decisions.leave(keyOf(client, name, type), owner, name, type, arrivedMs);
  }

  /**
   * A decision that holds. A walk that failed is no reason not to try again, but A and AAAA of one lookup share its end: a C
   * library that gets an alias for one of them and a denial for the other ends its search, and finds no address.
   */
  #decisionOf({ query, client, name, type }: Candidate): Decision | undefined {
    const found = this.#decisions.find(keyOf(client, name, type), type, query.arrivedMs);
    if (found?.hasFailed === true && !found.isHalfLeft(type, query.arrivedMs)) return undefined;
    return found;
  }

  /**
   * Whether the client walks its list itself, because autopath did not end it, and asks for the name as it is: with enough
   * labels of its own, such a name looks like an expansion.
   */
  #isOwnWalk({ query, name, type, list, client }: Candidate): boolean {
    const first = list.elements[0] as Uint8Array;
    // Below such a list every name is longer than what the filter looks at.
    if (!this.#decisions.mayHave(name, name.length - 1 + first.length)) return false;
    const whole = expanded(name, name.length - 1, first);
    if (whole === undefined) return false;
    return this.#decisions.isOwnWalk(keyOf(client, whole, type), query.arrivedMs);
  }

  #begin(candidate: Candidate): Result {
    const { query, first, client, type, base, list } = candidate;
    const { clock, resolveNow, count } = this.#options;
    const { key: walker } = query.client;
    const own = this.#walks.get(walker) ?? 0;
    if (own >= MAX_WALKS_OF_CLIENT || this.#allWalks >= MAX_WALKS) {
      count('busy', query);
      this.#leave(query, client, walker);
      return first;
    }
    this.#walks.set(walker, own + 1);
    this.#allWalks++;
    const name = query.name.slice();
    const nowMs = (): number => clock.nowMs();
    const asker = new Asker(query, resolveNow, this.#rates);
    const ending = walk({ name, base, type, list }, asker, nowMs);
    const key = keyOf(client, name, type);
    const decision = this.#decisions.begin(key, walker, name, query.arrivedMs, ending);
    void ending.then(() => this.#ended(walker));
    return this.#follow({ ...candidate, name }, decision);
  }

  #ended(walker: string): void {
    this.#allWalks--;
    const left = (this.#walks.get(walker) ?? 1) - 1;
    if (left === 0) this.#walks.delete(walker);
    else this.#walks.set(walker, left);
  }

  #follow(candidate: Candidate, decision: Decision): Result {
    decision.use(candidate.type, candidate.query.arrivedMs);
    const { outcome } = decision;
    if (outcome !== undefined) return this.#conclude(candidate, decision, outcome);
    return this.#wait(candidate, decision);
  }

  /** A client without room to wait walks itself. */
  #wait(candidate: Candidate, decision: Decision): Result {
    const { query, first } = candidate;
    const { clock, ledger, count } = this.#options;
    const share = ledger.share(query.clientKey);
    if (!share.admits(FOLLOWERS, FOLLOWER_BYTES)) {
      count('busy', query);
      return first;
    }
    const leftMs = Math.max(0, query.arrivedMs + query.budgetMs - clock.nowMs());
    const { outcome } = new Follower(share, clock, leftMs, decision.followers);
    return outcome.then((late) => this.#conclude(candidate, decision, late));
  }

  #conclude(candidate: Candidate, decision: Decision, outcome: Outcome): Result {
    const { query, first, name, type, base, list } = candidate;
    const { element } = outcome;
    if (typeof element === 'string') return this.#denied(candidate, element);
    if (element === 0) return this.#atFirst(candidate);
    decision.found ??= expanded(name, base, list.elements[element] as Uint8Array);
    const { found } = decision;
    if (found === undefined) return first;
    const asked = new Asker(query, this.#options.resolveNow, this.#rates).ask(found, type);
    const conclude = (source: Answer): Answer =>
      this.#answer(candidate, decision, outcome, found, source);
    return asked instanceof Promise ? asked.then(conclude) : conclude(asked);
  }

  /** The client's own walk goes on, and finds every denial in the cache. */
  #denied({ query, first }: Candidate, result: 'denied' | 'failed' | 'limited'): Answer {
    if (first.rcode === RCODE.NXDOMAIN) this.#options.count(result, query);
    return first;
  }

  /** The other type exists at the first element: the name exists, without records of this type. */
  #atFirst({ query, first }: Candidate): Answer {
    if (first.rcode !== RCODE.NXDOMAIN) return first;
    this.#options.count('found', query);
    return nameExists(first);
  }

  #answer(
    { query, first, type }: Candidate,
    decision: Decision,
    { types }: Outcome,
    found: Uint8Array,
    source: Answer,
  ): Answer {
    const { clock, count } = this.#options;
    const isGone =
      source.rcode === RCODE.NXDOMAIN && (types.has(type) || otherType(type) === undefined);
    // It existed when the walk ended there: the next query walks again, this client goes on by itself.
    if (isGone || source.length === 0) {
      this.#decisions.forget(decision);
      count('failed', query);
      return first;
    }
    const isAnswered = source.rcode === RCODE.NOERROR || source.rcode === RCODE.NXDOMAIN;
    count(isAnswered ? 'found' : 'failed', query);
    const known = decision.composed.get(type);
    if (known?.source === source) return known.answer;
    const denial = first.rcode === RCODE.NXDOMAIN ? first : undefined;
    const answer = aliased(query, found, source, denial, clock.nowMs());
    if (answer === undefined) return first;
    if (isAnswered && answer.length <= MAX_KEPT_BYTES)
      decision.composed.set(type, { source, answer });
    return answer;
  }
}

/** A and AAAA share a decision; every other type has its own. */
function keyOf(client: string, name: Uint8Array, type: number): string {
  const kind = otherType(type) === undefined ? type : '';
  return `${kind}/${client}/${byteKey(name)}`;
}
