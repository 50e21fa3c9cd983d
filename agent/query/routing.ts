/**
 * Finds the server block for a query: the longest zone that contains the name, and of several views of that zone the
 * first that accepts the query. If no view accepts it, the next shorter zone is tried, as in CoreDNS.
 */
import type { Place } from '../base/errors.ts';
import { TYPE } from '../dns/iana.ts';
import { nameFromText } from '../dns/name.ts';
import type { Handle, Handler } from './handler.ts';
import type { Query, RequestMetrics } from './query.ts';

/** What serves a zone of one listener. */
export interface Route {
  /** Lower-case presentation format with trailing dot. */
  readonly zone: string;
  readonly handler: Handler;
  /** Undefined if the block is not measured. */
  readonly requestMetrics: RequestMetrics | undefined;
  /** Whether questions of other classes than IN may pass (the block has `forward` or `chaos`, as in CoreDNS). */
  readonly anyClass: boolean;
  /** Whether the block takes the query; undefined for a block without views, which takes all of its zone. */
  readonly accepts?: ((query: Query) => boolean) | undefined;
  /** For an operator; absent in tests. */
  readonly block?: RoutedBlock | undefined;
}

/** What an operator may want to know of the block behind a route. */
export interface RoutedBlock {
  /** Its number in cache keys. */
  readonly id: number;
  /** Name of its view; '' for none. */
  readonly view: string;
  /** Where it begins in the Corefile. */
  readonly place: Place;
  /** Plugins with a part in the chain, in its order. */
  readonly plugins: readonly string[];
  /** The same chain with the handler of each plugin replaced by what `wrap` returns. */
  readonly wrapped: (wrap: (name: string, handle: Handle) => Handle) => Handler;
}

interface Entry extends Route {
  readonly name: Uint8Array;
}

/** The zones of one listener. Built once per configuration, never changed. */
export class ZoneTable {
  /** Counters of queries in no zone; CoreDNS's zone label `dropped`. */
  readonly droppedRow: RequestMetrics | undefined;
  /** Zones by the length of their wire name, so that each suffix of a query is compared with few of them. */
  readonly #byLength: Entry[][] = [];

  constructor(routes: readonly Route[], droppedRow: RequestMetrics | undefined) {
    this.droppedRow = droppedRow;
    for (const route of routes) {
      const name = nameFromText(route.zone);
      this.#byLength[name.length] ??= [];
      this.#byLength[name.length]?.push({ ...route, name });
    }
  }

  /**
   * The route of the longest zone that contains `query`'s name, or undefined. A DS question belongs to the parent side
   * of a zone cut (RFC 4035 §3.1.4.1): the next shorter zone, if any, gets it.
   */
  find(query: Query): Route | undefined {
    const { head } = query;
    const { name, nameLength, labelCount } = head;
    let found: Entry | undefined;
    for (let label = 0; label <= labelCount; label++) {
      const offset = head.labelOffset(label);
      const entry = this.#match(query, name, offset, nameLength);
      if (entry === undefined) continue;
      found = entry;
      if (query.type !== TYPE.DS || label > 0) break;
    }
    return found;
  }

  #match(query: Query, name: Uint8Array, offset: number, end: number): Entry | undefined {
    const candidates = this.#byLength[end - offset];
    if (candidates === undefined) return undefined;
    for (const entry of candidates) {
      if (!endsWith(name, offset, entry.name)) continue;
      if (entry.accepts === undefined || entry.accepts(query)) return entry;
    }
    return undefined;
  }
}

function endsWith(name: Uint8Array, offset: number, zone: Uint8Array): boolean {
  for (let i = 0; i < zone.length; i++) {
    if (name[offset + i] !== zone[i]) return false;
  }
  return true;
}
