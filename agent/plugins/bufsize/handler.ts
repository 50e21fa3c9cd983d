import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

/** Replaces the listener's limit by `bytes`; a client without OPT keeps its 512 bytes (RFC 1035 §4.2.1). */
export function limitUdp(bytes: number): (query: Query, next: Handler) => Result {
  return (query, next) => {
    query.maxUdpBytes = bytes;
    return next(query);
  };
}
