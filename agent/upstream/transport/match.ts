/** Which query in flight a message answers: the rules of RFC 5452 §9 that need no socket. */
import type { QuestionFields } from '../../dns/build.ts';
import { OPT_BYTES } from '../../dns/edns.ts';
import {
  ancountOf,
  arcountOf,
  FLAG,
  flagsOf,
  HEADER_BYTES,
  idOf,
  nscountOf,
  opcodeOf,
  qdcountOf,
  RCODE_MASK,
  u16,
} from '../../dns/header.ts';
import { OPCODE, RCODE, TYPE } from '../../dns/iana.ts';
import { REJECTIONS } from '../../dns/reply/accept.ts';
import { matchesQuestion } from '../../dns/reply.ts';
import type { Transport } from '../../query/query.ts';

/**
 * Why a message is ignored. `id`: no query in flight has the ID, as with forgeries, duplicates and late replies.
 * `case`: the question's letter case differs. The socket detects `source`; `malformed` and `unrelated` are detected
 * when a matching reply is parsed.
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
/** Label `reason` of nodens_upstream_mismatched_replies_total. */
export type Mismatch = (typeof MISMATCHES)[number];

/** What a reply is compared with. */
export interface Matchable {
  readonly question: QuestionFields;
  readonly transport: Transport;
  /** The name as sent, if the reply must repeat its letter case. */
  readonly randomizedName?: Uint8Array | undefined;
}

/** The entry of `inFlight` that `message` answers, or why there is none. Safe on any bytes. */
export function matchReply<T extends Matchable>(
  message: Uint8Array,
  inFlight: Pick<ReadonlyMap<number, T>, 'get'>,
): T | Mismatch {
  if (message.length < HEADER_BYTES) return 'short';
  const flags = flagsOf(message);
  if ((flags & FLAG.QR) === 0 || opcodeOf(flags) !== OPCODE.QUERY) return 'not_reply';
  const pending = inFlight.get(idOf(message));
  if (pending === undefined) return 'id';
  if (qdcountOf(message) === 0) return isOwnError(message, pending) ? pending : 'question';
  const { name, type, class: qclass } = pending.question;
  if (!matchesQuestion(message, name, type, qclass)) return 'question';
  const { randomizedName } = pending;
  return randomizedName === undefined || hasSameCase(message, randomizedName) ? pending : 'case';
}

/** Whether a message that `matchReply` accepted is truncated. */
export function isTruncated(message: Uint8Array): boolean {
  return (flagsOf(message) & FLAG.TC) !== 0;
}

function hasSameCase(message: Uint8Array, randomizedName: Uint8Array): boolean {
  for (let i = 0; i < randomizedName.length; i++) {
    if (message[HEADER_BYTES + i] !== randomizedName[i]) return false;
  }
  return true;
}

/**
 * Whether a message without a question is the upstream's reply to `pending`. A server that cannot or will not read the
 * question responds without repeating it (RFC 6891 §7). On a connection only the upstream can send, so any such message
 * counts; `acceptReply` accepts only errors as replies. A datagram must be an error without data: accepting it cannot
 * poison the cache, and a forger who has guessed ID and port could as well repeat the question.
 */
function isOwnError(message: Uint8Array, { transport }: Matchable): boolean {
  if (transport === 'tcp') return true;
  if (ancountOf(message) + nscountOf(message) > 0) return false;
  const isWhole = arcountOf(message) === 0 ? message.length === HEADER_BYTES : hasOnlyOpt(message);
  const rcode = rcodeOf(message);
  return isWhole && rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN;
}

/**
 * Whether `message`, which matches a query sent as `randomizedName`, fails to repeat the letter case. Such a message is
 * easier to forge. FORMERR and NOTIMP are accepted all the same: they come from servers that cannot parse the question,
 * and their only effect is the same question without EDNS. Any other error would end the query, so the agent asks again
 * over TCP, which is harder to forge.
 */
export function isUnproven(message: Uint8Array, randomizedName: Uint8Array | undefined): boolean {
  if (randomizedName === undefined || qdcountOf(message) !== 0) return false;
  const rcode = rcodeOf(message);
  return rcode !== RCODE.FORMERR && rcode !== RCODE.NOTIMP;
}

/** One additional record, an OPT, and no question before it. */
function hasOnlyOpt(message: Uint8Array): boolean {
  return (
    arcountOf(message) === 1 &&
    message.length >= HEADER_BYTES + OPT_BYTES &&
    message[HEADER_BYTES] === 0 &&
    u16(message, HEADER_BYTES + 1) === TYPE.OPT
  );
}

/** The whole rcode of a message without a question: an OPT contains its upper bits (RFC 6891 §6.1.3). */
function rcodeOf(message: Uint8Array): number {
  const upper = hasOnlyOpt(message) ? (message[HEADER_BYTES + 5] as number) : 0;
  return (upper << 4) | (flagsOf(message) & RCODE_MASK);
}
