/** Which query in flight a message answers: the rules of RFC 5452 §9 that need no socket. */
import type { QuestionFields } from '../dns/build.ts';
import {
  FLAG,
  flagsOf,
  HEADER_BYTES,
  idOf,
  opcodeOf,
  qdcountOf,
  RCODE_MASK,
} from '../dns/header.ts';
import { OPCODE, RCODE } from '../dns/iana.ts';
import { matchesQuestion } from '../dns/reply.ts';

/**
 * Why a message does not count. `id`: no query in flight has it, as with forgeries and with replies that come too
 * late. `source` is found by the socket.
 */
export const MISMATCHES = ['source', 'short', 'not_reply', 'id', 'question'] as const;
export type Mismatch = (typeof MISMATCHES)[number];

/** The entry of `inFlight` that `message` answers, or why there is none. Safe on any bytes. */
export function matchReply<T extends { readonly question: QuestionFields }>(
  message: Uint8Array,
  inFlight: ReadonlyMap<number, T>,
): T | Mismatch {
  if (message.length < HEADER_BYTES) return 'short';
  const flags = flagsOf(message);
  if ((flags & FLAG.QR) === 0 || opcodeOf(flags) !== OPCODE.QUERY) return 'not_reply';
  const flight = inFlight.get(idOf(message));
  if (flight === undefined) return 'id';
  const { name, type, class: qclass } = flight.question;
  const matches = matchesQuestion(message, name, type, qclass) || isBareRefusal(message, flags);
  return matches ? flight : 'question';
}

/**
 * A server that could not read our question (EDNS was too much for it) says so without repeating it (RFC 6891 §7).
 * It carries no data, so believing it can poison nothing.
 */
function isBareRefusal(message: Uint8Array, flags: number): boolean {
  const rcode = flags & RCODE_MASK;
  return (
    message.length === HEADER_BYTES &&
    qdcountOf(message) === 0 &&
    (rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP)
  );
}
