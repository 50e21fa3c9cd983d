/** Runs a query through its block's chain, and turns the chain's errors into rcodes. */
import { DnsError, DropQuery, messageOf } from '../base/errors.ts';
import { CLASS, EDE, RCODE } from '../dns/iana.ts';
import type { Answer } from '../query/answer.ts';
import { errorAnswer } from '../query/error-answer.ts';
import type { Handler, Result } from '../query/handler.ts';
import type { Query } from '../query/query.ts';
import type { Route, ZoneTable } from '../query/routing.ts';
import type { Logger } from '../query/services/log.ts';
import type { Counter } from '../query/services/metrics.ts';
import { Identity } from './identity.ts';
import { DROPPED } from './respond.ts';

/** Sees each query of a client and its result, while an operator observes. Returns the result of `run`. */
export interface QueryObserver {
  follow(query: Query, run: (query: Query) => Result): Result;
}

/** One for the process. Before the first `swap` it refuses every query except those of init's probes. */
export class Dispatcher {
  /** Undefined while there is none: then a query costs this one check. */
  observer: QueryObserver | undefined;
  readonly #log: Logger;
  readonly #panics: Counter;
  readonly #identity: Identity;
  /** Zone tables by listener index. A reload replaces the whole array, so a query sees one configuration. */
  #tables: readonly (ZoneTable | undefined)[] = [];
  /** For observers. Made once: to make it for each query costs more than to observe. */
  readonly #runs = (query: Query): Result => this.#run(query);

  constructor(log: Logger, panics: Counter, identity: Identity = new Identity()) {
    this.#log = log;
    this.#panics = panics;
    this.#identity = identity;
  }

  /** Takes effect for the next query; queries in flight finish on their old chains. */
  swap(tables: readonly (ZoneTable | undefined)[]): void {
    this.#tables = tables;
  }

  /** Never throws and never rejects. */
  handle(query: Query): Result {
    const result = this.begin(query);
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => this.failed(query, error));
  }

  /** As `handle`, but a later result may reject: `failed` turns the error into an answer. */
  begin(query: Query): Result {
    const { observer } = this;
    if (observer !== undefined && !query.isInternal) return this.#followed(query, observer);
    return this.#run(query);
  }

  /** Probes of init are not shown, as no series counts them: 32 a second would hide the queries of clients. */
  #followed(query: Query, observer: QueryObserver): Result {
    return this.#identity.answerTo(query) ?? observer.follow(query, this.#runs);
  }

  #run(query: Query): Result {
    const probed = this.#identity.answerTo(query);
    if (probed !== undefined) return probed;
    const table = this.#tables[query.server.index];
    const route = table?.find(query);
    if (route === undefined) {
      query.requestMetrics = table?.droppedRow;
      return errorAnswer(query, RCODE.REFUSED);
    }
    query.requestMetrics = route.requestMetrics;
    if (query.class !== CLASS.IN && !route.anyClass) return errorAnswer(query, RCODE.REFUSED);
    try {
      return route.handler(query);
    } catch (error) {
      return this.failed(query, error);
    }
  }

  /** The route of a query; undefined if no zone of its listener has it. */
  route(query: Query): Route | undefined {
    return this.#tables[query.server.index]?.find(query);
  }

  /** As `handle`, through another form of the route's chain (`RoutedBlock.wrapped`), and not counted as a request. */
  async handleThrough(query: Query, route: Route, handler: Handler): Promise<Answer> {
    if (query.class !== CLASS.IN && !route.anyClass) return errorAnswer(query, RCODE.REFUSED);
    try {
      return await handler(query);
    } catch (error) {
      return this.failed(query, error);
    }
  }

  /** The answer that a client gets for an error. */
  failed(query: Query, error: unknown): Answer {
    if (error instanceof DnsError) return errorAnswer(query, error.rcode, error.extended);
    if (error instanceof DropQuery) return DROPPED;
    // Any other error is a bug: the client still gets an answer, and the log and a counter report it.
    this.#panics.value++;
    const stack = error instanceof Error ? error.stack : undefined;
    this.#log.error(
      {
        event: 'plugin-failed',
        question: query.nameText,
        type: query.type,
        server: query.server.label,
        stack,
      },
      `a plugin failed: ${messageOf(error)}`,
    );
    return errorAnswer(query, RCODE.SERVFAIL, { code: EDE.OTHER, text: 'internal error' });
  }
}

/** Last link of every chain: no plugin answered. CoreDNS refuses only for a block without any plugin, else SERVFAIL. */
export function refuse(): never {
  throw new DnsError(RCODE.REFUSED, 'no plugin of this server block answers the query');
}
