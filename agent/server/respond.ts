/**
 * Fits an answer to one client: the only code that patches and sizes response bytes, for hits and misses alike.
 * RFC 1035 §4.1.1 (ID, flags), RFC 4035 §3.2 (AD, CD), RFC 6891 §6.2 (OPT), RFC 2181 §9 (TC).
 */
import { maxOptBytes, optBytes, putEmptyOpt, putOpt } from '../dns/edns.ts';
import {
  arcountOf,
  FLAG,
  flagsOf,
  HEADER_BYTES,
  OPCODE_MASK,
  putHeader,
  putU16,
  qdcountOf,
} from '../dns/header.ts';
import { RCODE } from '../dns/iana.ts';
import type { QueryHead } from '../dns/query-head.ts';
import { truncateAt } from '../dns/truncate.ts';
import { Answer, putTtls } from '../query/answer.ts';
import type { Query } from '../query/query.ts';

/** Bits of the answer's own flags that every client gets. AD is not one of them. */
const KEPT_FLAGS = FLAG.AA | FLAG.TC | FLAG.RA;
/** Bits of the query's flags that the response repeats. */
const ECHOED_FLAGS = OPCODE_MASK | FLAG.RD | FLAG.CD;
const MAX_MESSAGE_BYTES = 65_535;
/** What every client must accept over UDP (RFC 1035 §4.2.1). */
const MIN_UDP_BYTES = 512;

/** Stands for an answer if no response is sent (`DropQuery`). */
export const DROPPED = new Answer({
  wire: Buffer.alloc(0),
  ttlOffsets: [],
  rcode: 0,
  plugin: '',
});

/**
 * Buffer size in bytes that `respond` needs at most, whatever the client's limits; `options` are the query's `responseOptions`.
 */
export function responseCapacity(answer: Answer, options?: Uint8Array): number {
  return answer.length + maxOptBytes(answer.extended, options);
}

/**
 * Writes the response for `query` into `out` (at least `responseCapacity` bytes) and returns its length; 0 for
 * `DROPPED`. TTLs are counted down to `nowMs`.
 */
export function respond(query: Query, answer: Answer, nowMs: number, out: Buffer): number {
  const { length } = answer;
  if (length === 0) return 0;
  const { head } = query;
  answer.writeTo(out);
  const flags = responseFlags(head, flagsOf(out), answer.rcode);
  putU16(out, 0, head.id);
  putU16(out, 2, flags);
  const questionEnd =
    head.isLowerCase && answer.isLowerCase ? head.questionEnd : echoQuestion(query, out);
  putTtls(answer, nowMs, out);
  const limit = query.transport === 'udp' ? udpLimit(query) : MAX_MESSAGE_BYTES;
  const reserved = head.hasOpt ? optBytes(answer.extended, query.responseOptions) : 0;
  let end = length;
  if (end + reserved > limit) {
    end = truncateAt(out, questionEnd, end, limit - reserved);
    putU16(out, 2, flags | FLAG.TC);
  }
  return head.hasOpt ? appendOpt(out, end, query, answer) : end;
}

function responseFlags(head: QueryHead, answerFlags: number, rcode: number): number {
  const wantsAd = head.dnssecOk || (head.flags & FLAG.AD) !== 0;
  const kept = answerFlags & (wantsAd ? KEPT_FLAGS | FLAG.AD : KEPT_FLAGS);
  // An extended rcode needs an OPT: its low bits alone would be another rcode (RFC 6891 §6.1.3).
  const low = rcode > 0xf && !head.hasOpt ? RCODE.SERVFAIL : rcode & 0xf;
  return FLAG.QR | kept | (head.flags & ECHOED_FLAGS) | low;
}

/** Copies the client's letter case into the question; owner names that point there then have it as well. */
function echoQuestion(query: Query, out: Buffer): number {
  if (qdcountOf(out) === 0) return HEADER_BYTES;
  const { nameLength } = query.head;
  const nameEnd = HEADER_BYTES + nameLength;
  if (query.length >= nameEnd) {
    const asked = query.wire;
    // For so few bytes the call of a copy function costs more than the copy.
    for (let i = HEADER_BYTES; i < nameEnd; i++) out[i] = asked[i] as number;
  }
  return nameEnd + 4;
}

function udpLimit({ head, maxUdpBytes }: Query): number {
  if (!head.hasOpt) return MIN_UDP_BYTES;
  return Math.max(MIN_UDP_BYTES, Math.min(head.udpSizeBytes, maxUdpBytes));
}

/**
 * The agent's own OPT: its size limit, DO as the client sent it, none of the client's options (RFC 6891 §6.1.1,
 * RFC 3225 §3).
 */
function appendOpt(out: Buffer, end: number, query: Query, { rcode, extended }: Answer): number {
  putU16(out, 10, arcountOf(out) + 1);
  const udpSizeBytes = Math.max(MIN_UDP_BYTES, query.maxUdpBytes);
  const { dnssecOk, responseOptions: options } = query;
  // Without options there is no object for them: a hit allocates nothing.
  if (extended === undefined && options === undefined)
    return putEmptyOpt(out, end, udpSizeBytes, rcode, dnssecOk);
  return putOpt(out, end, { udpSizeBytes, rcode, dnssecOk, extended, options });
}

/** Writes the 12-byte response to a message whose question cannot be trusted; returns 12. */
export function respondHeaderOnly(head: QueryHead, rcode: number, out: Buffer): number {
  putHeader(out, head.id, FLAG.QR | (head.flags & ECHOED_FLAGS) | rcode, [0, 0, 0, 0]);
  return HEADER_BYTES;
}
