import { ancountOf, arcountOf, nscountOf, putU16 } from '../../dns/header.ts';
import { RCODE } from '../../dns/iana.ts';
import { skipQuestions, skipRecord } from '../../dns/records.ts';
import type { Answer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';

/** Removes the other sections of answers with data; denials and delegations need theirs (RFC 2308, RFC 1034 §4.3.1). */
export function minimise(query: Query, next: Handler): Result {
  return after(next, query, cut);
}

function cut(answer: Answer): Answer {
  const { wire, rcode } = answer;
  if (wire.length === 0 || rcode !== RCODE.NOERROR) return answer;
  const count = ancountOf(wire);
  if (count === 0 || nscountOf(wire) + arcountOf(wire) === 0) return answer;
  let end = skipQuestions(wire, wire.length);
  for (let left = count; left > 0 && end >= 0; left--) end = skipRecord(wire, end, wire.length);
  if (end < 0) return answer;
  // Compression pointers only point backwards, so the rest stays valid (RFC 1035 §4.1.4).
  const shorter = Buffer.from(wire.subarray(0, end));
  putU16(shorter, 8, 0);
  putU16(shorter, 10, 0);
  return answer.with({ wire: shorter, ttlOffsets: answer.ttlOffsets.slice(0, count) });
}
