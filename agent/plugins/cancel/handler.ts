import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

/** Shortens the time for upstreams; at its end `forward` answers SERVFAIL. */
export function limitBudget(ms: number): (query: Query, next: Handler) => Result {
  return (query, next) => {
    query.budgetMs = Math.min(query.budgetMs, ms);
    return next(query);
  };
}
