import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

/** Puts `bytes` in place of the listener's limit; a client without OPT keeps its 512 octets (RFC 1035 §4.2.1). */
export function limitUdp(bytes: number): (query: Query, next: Handler) => Result {
  return (query, next) => {
    query.maxUdpBytes = bytes;
    return next(query);
  };
}
