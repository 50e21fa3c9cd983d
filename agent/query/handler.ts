/** How a query goes down the chain, and its answer up. */
import type { Answer } from './answer.ts';
import type { Query } from './query.ts';

/** An answer now, or later. A hit never makes a promise. */
export type Result = Answer | Promise<Answer>;

/** The rest of the chain. Throws, or rejects with, a `DnsError` where there is no answer. */
export type Handler = (query: Query) => Result;

/** What a plugin does with a query; `next` is the rest of the chain. */
export type Handle = (query: Query, next: Handler) => Result;
