/** Shows the queries of clients to `observe` and `top` as they are answered. Nothing of it runs while neither does. */
import type { Clock } from '../../base/clock.ts';
import { DnsError, DropQuery } from '../../base/errors.ts';
import { RCODE } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import type { Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import { type Served, servedAs } from '../../query/served.ts';
import type { Dispatcher, QueryObserver } from '../../server/dispatch.ts';

/** A query and what became of it. Valid only during the call: the listener reuses the query. */
export class SeenQuery {
  readonly query: Query;
  readonly durationMs: number;
  readonly rcode: number;
  readonly plugin: string;
  readonly #answer: Answer | undefined;
  readonly #error: unknown;
  readonly #isLate: boolean;

  /** One of `answer` and `error` is undefined. `isLate`: it did not come at once. */
  constructor(
    query: Query,
    answer: Answer | undefined,
    error: unknown,
    isLate: boolean,
    nowMs: number,
  ) {
    this.query = query;
    this.durationMs = nowMs - query.arrivedMs;
    this.rcode = answer?.rcode ?? (error instanceof DnsError ? error.rcode : RCODE.SERVFAIL);
    this.plugin = answer?.plugin ?? '';
    this.#answer = answer;
    this.#error = error;
    this.#isLate = isLate;
  }

  /** Where the answer came from. */
  get source(): Served {
    if (this.#answer !== undefined) return servedAs(this.query, this.#answer, this.#isLate);
    return this.#error instanceof DropQuery ? 'dropped' : 'failure';
  }
}

/** Takes a part of the queries, and looks at those. */
export interface QueryLook {
  /** Whether `query` is looked at when it is answered; called for each query, so it must cost next to nothing. */
  takes(query: Query): boolean;
  see(seen: SeenQuery): void;
}

const NONE: readonly QueryLook[] = [];

/** One for the process. */
export class QueryWatch implements QueryObserver {
  readonly #dispatcher: Pick<Dispatcher, 'observer'>;
  readonly #clock: Clock;
  #looks = NONE;

  constructor(dispatcher: Pick<Dispatcher, 'observer'>, clock: Clock) {
    this.#dispatcher = dispatcher;
    this.#clock = clock;
  }

  /** Commands that look at queries now. */
  get observers(): number {
    return this.#looks.length;
  }

  /** Shows queries to `look` until the returned function is called. */
  add(look: QueryLook): () => void {
    this.#looks = [...this.#looks, look];
    this.#dispatcher.observer = this;
    return () => {
      this.#looks = this.#looks.filter((other) => other !== look);
      if (this.#looks.length === 0) this.#dispatcher.observer = undefined;
    };
  }

  follow(query: Query, run: (query: Query) => Result): Result {
    let takers = NONE;
    for (const look of this.#looks) if (look.takes(query)) takers = [...takers, look];
    return takers === NONE ? run(query) : this.#shown(query, run, takers);
  }

  /** A method of its own, as it makes closures: most queries are not taken. */
  #shown(query: Query, run: (query: Query) => Result, takers: readonly QueryLook[]): Result {
    const show = (answer: Answer | undefined, error: unknown, isLate: boolean): void => {
      const seen = new SeenQuery(query, answer, error, isLate, this.#clock.nowMs());
      for (const look of takers) look.see(seen);
    };
    const result = run(query);
    if (!(result instanceof Promise)) show(result, undefined, false);
    else
      result.then(
        (answer) => show(answer, undefined, true),
        // The listener that waits for the same result turns the error into an answer.
        (error: unknown) => show(undefined, error, true),
      );
    return result;
  }
}
