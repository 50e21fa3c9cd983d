/** How a query passes down the chain and its answer comes back up. */
import type { Answer } from './answer.ts';
import type { Query } from './query.ts';

/** An answer now, or later. A cache hit never creates a promise. */
export type Result = Answer | Promise<Answer>;

/** The rest of the chain. Throws or rejects with a `DnsError` if there is no answer. */
export type Handler = (query: Query) => Result;

/** How a plugin handles a query; `next` is the rest of the chain. */
export type Handle = (query: Query, next: Handler) => Result;
