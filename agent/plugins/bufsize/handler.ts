import type { Handler, Result } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';

/** Lowers what `respond` may send over UDP; a client without OPT keeps its 512 octets (RFC 1035 §4.2.1). */
export function limitUdp(bytes: number): (query: Query, next: Handler) => Result {
  return (query, next) => {
    query.maxUdpBytes = Math.min(query.maxUdpBytes, bytes);
    return next(query);
  };
}
