/** Where an answer came from, judged from the answer: nothing on the path of a query records it. */
import { RCODE } from '../dns/iana.ts';
import type { Answer } from '../query/answer.ts';
import type { Query } from '../query/query.ts';
import type { Source } from './protocol.ts';

const CACHE = 'cache';

/** `isLate`: the answer did not come at once. */
export function sourceOf(query: Query, answer: Answer, isLate: boolean): Source {
  if (answer.length === 0) return 'dropped';
  if (answer.rcode === RCODE.SERVFAIL) return 'failure';
  if (answer.ttlOverrideSeconds !== undefined) return 'stale';
  if (answer.plugin === CACHE) {
    // Answers that the cache has stored for this query are born after it arrived.
    const isOlder = answer.bornMs !== undefined && answer.bornMs < Math.floor(query.arrivedMs);
    return isOlder || (answer.bornMs === undefined && !isLate) ? 'hit' : 'miss';
  }
  return isLate ? 'miss' : 'local';
}
