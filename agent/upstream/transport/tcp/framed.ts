/** Queries as they are written to a connection. */
import { putQuery, queryBytes } from '../../../dns/build.ts';
import { putU16 } from '../../../dns/header.ts';
import type { PendingQuery } from '../pending-query.ts';

/** The queries as one chunk, each after its length (RFC 1035 §4.2.2). */
export function framed(pendingQueries: readonly PendingQuery[]): Buffer {
  let bytes = 0;
  for (const pending of pendingQueries) bytes += 2 + queryBytes(pending);
  const chunk = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const pending of pendingQueries) {
    const end = putQuery(chunk, at + 2, pending);
    putU16(chunk, at, end - at - 2);
    at = end;
  }
  return chunk;
}
