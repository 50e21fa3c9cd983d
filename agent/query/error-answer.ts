/** Responses that say why there is no answer. */
import { type ExtendedError, GAVE_WAY } from '../base/errors.ts';
import { FLAG, HEADER_BYTES, putHeader, putU16 } from '../dns/header.ts';
import { RCODE } from '../dns/iana.ts';
import { Answer } from './answer.ts';
import type { Query } from './query.ts';

const NO_OFFSETS: readonly number[] = [];

/** A response with no answer: the question, the rcode, and an extended error for EDNS clients. */
export function errorAnswer(
  query: Query,
  rcode: number,
  extended?: ExtendedError,
  shareable = true,
): Answer {
  const { head } = query;
  const nameEnd = HEADER_BYTES + head.nameLength;
  const wire = Buffer.allocUnsafe(nameEnd + 4);
  putHeader(wire, 0, FLAG.QR, [1, 0, 0, 0]);
  // Internal queries have no message; `respond` restores the client's letter case.
  wire.set(query.name, HEADER_BYTES);
  putU16(wire, nameEnd, head.type);
  putU16(wire, nameEnd + 2, head.class);
  const ttlOffsets = NO_OFFSETS;
  return new Answer({ wire, ttlOffsets, rcode, plugin: '', extended, shareable });
}

/**
 * What a client gets at once if it has no room to wait, and no other client gets: the same as for a GaveWayError. In a
 * flood these are tens of thousands a second, and an answer that is returned costs a third of an error that is thrown
 * through the chain.
 */
export function gaveWayAnswer(query: Query): Answer {
  return errorAnswer(query, RCODE.SERVFAIL, GAVE_WAY.extended, false);
}

/** Whether `answer` is the one of `gaveWayAnswer`. */
export function gaveWay(answer: Answer): boolean {
  return answer.extended === GAVE_WAY.extended;
}
