import { characterStrings } from '../../dns/build.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import { madeAnswer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

const RDATA = characterStrings(['ANY obsoleted', 'See RFC 8482']);
const TTL_SECONDS = 8_482;

/** A synthetic HINFO instead of all records (RFC 8482 §4.2). */
export function answerAny(query: Query, next: Handler): Result {
  if (query.type !== TYPE.ANY) return next(query);
  const answer = [{ type: TYPE.HINFO, ttlSeconds: TTL_SECONDS, rdata: RDATA }];
  return madeAnswer(query, { rcode: RCODE.NOERROR, flags: 0, answer }, 'any');
}
