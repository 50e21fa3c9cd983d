import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

/** Upstreams have until then; `forward` answers SERVFAIL when it is over. */
export function limitBudget(ms: number): (query: Query, next: Handler) => Result {
  return (query, next) => {
    query.budgetMs = Math.min(query.budgetMs, ms);
    return next(query);
  };
}
