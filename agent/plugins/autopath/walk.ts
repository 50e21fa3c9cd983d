/** The walk along a search list, in the client's name. */
import type { ClientRates } from '../../base/clients/client-rates.ts';
import { ancountOf } from '../../dns/header.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import type { Result } from '../../query/handler.ts';
import type { InternalQuestion, Query } from '../../query/query.ts';
import type { Services } from '../../query/services/services.ts';
import { FAILED, LIMITED, type Outcome } from './outcome.ts';
import { expanded, type SearchList } from './search-list.ts';

/** Asks the whole server in the name of one client. Keeps nothing of the query's buffers. */
export class Asker {
  /** When the client's time is over, clock milliseconds. */
  readonly deadlineMs: number;
  readonly #resolveNow: Services['resolveNow'];
  readonly #query: Omit<InternalQuestion, 'name' | 'type'>;
  readonly #rates: ClientRates;
  readonly #client: string;

  /** `rates` are those of questions that have to wait for an upstream. */
  constructor(query: Query, resolveNow: Services['resolveNow'], rates: ClientRates) {
    this.#resolveNow = resolveNow;
    this.#rates = rates;
    this.#client = query.client.key;
    this.deadlineMs = query.arrivedMs + query.budgetMs;
    this.#query = {
      class: query.class,
      checkingDisabled: query.checkingDisabled,
      server: query.server,
      transport: query.transport,
      client: query.client,
      dnssecOk: false,
      depth: query.depth + 1,
      behalfOf: query.clientKey,
    };
  }

  /** `name` in lower-case wire form; it must not change. A failure is an answer as well. */
  ask(name: Uint8Array, type: number): Result {
    const result = this.#resolveNow({ ...this.#query, name, type });
    if (result instanceof Promise) this.#rates.take(this.#client);
    return result;
  }

  /** Whether the client may cause more questions to upstreams. */
  get mayAsk(): boolean {
    return this.#rates.hasLeft(this.#client);
  }
}

/** What a walk is about: the first `base` bytes of `name`, whose first element has been denied for `type`. */
export interface Walk {
  readonly name: Uint8Array;
  readonly base: number;
  readonly type: number;
  readonly list: SearchList;
}

/** The other address type; undefined for types that are no addresses. */
export function otherType(type: number): number | undefined {
  if (type === TYPE.A) return TYPE.AAAA;
  return type === TYPE.AAAA ? TYPE.A : undefined;
}

/**
 * Goes on until an element exists, for either address type: an upstream that denies a name for one type only (RFC 4074
 * §4.2) must not part A from AAAA. An element that cannot be asked ends the walk, because it might exist. So does one
 * without any address, as `denied`: C libraries differ in what they do next, and an alias would change it. Never rejects.
 */
export async function walk(
  { name, base, type, list }: Walk,
  asker: Asker,
  nowMs: () => number,
): Promise<Outcome> {
  for (const [index, element] of list.elements.entries()) {
    const asked = expanded(name, base, element);
    if (asked === undefined || nowMs() >= asker.deadlineMs) return FAILED;
    if (!asker.mayAsk) return LIMITED;
    const end = await step(asked, type, index, asker);
    if (end !== undefined) return end;
  }
  return DENIED;
}

const DENIED: Outcome = { element: 'denied', types: new Set() };

/** How the walk ends at the element of this index, undefined if it goes on. `type` has been denied at the first one. */
async function step(
  name: Uint8Array,
  type: number,
  index: number,
  asker: Asker,
): Promise<Outcome | undefined> {
  const other = otherType(type);
  const asking = other === undefined ? undefined : asker.ask(name, other);
  const own = index === 0 ? undefined : await asker.ask(name, type);
  if (own !== undefined && exists(own) && (other === undefined || hasRecords(own)))
    return { element: index, types: new Set([type]) };
  const both = [own, await asking].filter((answer) => answer !== undefined);
  const existing = both.find(exists);
  const isEmpty = index > 0 && !both.some(hasRecords);
  if (existing !== undefined && !isEmpty)
    return { element: index, types: new Set([existing === own ? type : (other as number)]) };
  if (!both.every((answer) => exists(answer) || isDenied(answer))) return FAILED;
  return existing === undefined ? undefined : DENIED;
}

function exists(answer: Answer): boolean {
  return answer.rcode === RCODE.NOERROR && answer.length > 0;
}

function hasRecords(answer: Answer): boolean {
  return exists(answer) && ancountOf(answer.wire) > 0;
}

function isDenied({ rcode }: Answer): boolean {
  return rcode === RCODE.NXDOMAIN;
}
