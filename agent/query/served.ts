/** Where an answer came from, judged from the answer: nothing on the path of a query records it. */
import { RCODE } from '../dns/iana.ts';
import type { Answer } from './answer.ts';
import type { Query } from './query.ts';

/**
 * Label `served` of nodens_answer_duration_seconds, and what `nodens observe` shows. `miss`: the answer was asked for when
 * the query came. `local`: a plugin made it. `failure`: SERVFAIL, whatever its source. `dropped`: there is none.
 */
export type Served = 'hit' | 'stale' | 'miss' | 'local' | 'failure' | 'dropped';

/** Plugin name in answers of the cache. */
const CACHE = 'cache';

/** `isLate`: the answer did not come at once. Stale answers are the only ones whose TTL is overridden. */
export function servedAs(query: Query, answer: Answer, isLate: boolean): Served {
  if (answer.length === 0) return 'dropped';
  if (answer.rcode === RCODE.SERVFAIL) return 'failure';
  if (answer.ttlOverrideSeconds !== undefined) return 'stale';
  if (answer.plugin !== CACHE) return isLate ? 'miss' : 'local';
  // Answers that the cache has stored for this query are born after it arrived. Births are whole milliseconds: a hit in the
  // millisecond of the birth counts as a miss, as an answer that a plugin makes at once must.
  const isOlder = answer.bornMs !== undefined && answer.bornMs < Math.floor(query.arrivedMs);
  return isOlder || (answer.bornMs === undefined && !isLate) ? 'hit' : 'miss';
}
