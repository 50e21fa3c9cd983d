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
import { REJECTIONS } from '../dns/reply/accept.ts';
import { matchesQuestion } from '../dns/reply.ts';

/**
 * Why a message does not count. `id`: no query in flight has it, as with forgeries, duplicates and replies that come
 * too late. `case`: the letter case of the question is not ours. The socket finds `source`; `malformed` and `unrelated`
 * are found when a reply that matches is read.
 */
export const MISMATCHES = [
  'source',
  'short',
  'not_reply',
  'id',
  'question',
  'case',
  ...REJECTIONS,
] as const;
export type Mismatch = (typeof MISMATCHES)[number];

/** What a reply is held against. */
export interface Matchable {
  readonly question: QuestionFields;
  /** The name as it was sent, where its letter case has to come back. */
  readonly spelling?: Uint8Array | undefined;
}

/** The entry of `inFlight` that `message` answers, or why there is none. Safe on any bytes. */
export function matchReply<T extends Matchable>(
  message: Uint8Array,
  inFlight: ReadonlyMap<number, T>,
): T | Mismatch {
  if (message.length < HEADER_BYTES) return 'short';
  const flags = flagsOf(message);
  if ((flags & FLAG.QR) === 0 || opcodeOf(flags) !== OPCODE.QUERY) return 'not_reply';
  const flight = inFlight.get(idOf(message));
  if (flight === undefined) return 'id';
  const { name, type, class: qclass } = flight.question;
  if (!matchesQuestion(message, name, type, qclass))
    return isBareRefusal(message, flags) ? flight : 'question';
  const { spelling } = flight;
  return spelling === undefined || isSpelt(message, spelling) ? flight : 'case';
}

/** Whether a message that `matchReply` took says that it is not all there is. */
export function isTruncated(message: Uint8Array): boolean {
  return (flagsOf(message) & FLAG.TC) !== 0;
}

function isSpelt(message: Uint8Array, spelling: Uint8Array): boolean {
  for (let i = 0; i < spelling.length; i++) {
    if (message[HEADER_BYTES + i] !== spelling[i]) return false;
  }
  return true;
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
