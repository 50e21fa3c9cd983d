/** What happens when a query in flight ends: the response writer decides, with the query that began it. */
import type { Answer } from '../query/answer.ts';
import type { Query } from '../query/query.ts';
import type { Counters } from './counters.ts';
import type { ResponseWriter } from './response-writer.ts';
import type { ResultHandler, Sourced } from './single-flight.ts';

/** Stores the result of a query in flight. A class instead of closures: every waiting query has one. */
export class StoreResult implements ResultHandler {
  readonly #responseWriter: ResponseWriter;
  readonly #query: Query;
  readonly #key: string;
  readonly #count: Counters;

  constructor(responseWriter: ResponseWriter, query: Query, key: string, count: Counters) {
    this.#responseWriter = responseWriter;
    this.#query = query;
    this.#key = key;
    this.#count = count;
  }

  onAnswer(answer: Answer): Sourced<Answer> {
    return this.#responseWriter.accept(this.#query, this.#key, answer, this.#count);
  }

  onError(error: unknown): Sourced<Answer> {
    return this.#responseWriter.failed(this.#query, this.#key, error);
  }
}
