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
  readonly transport: Transport;
  /** The name as it was sent, where its letter case has to come back. */
  readonly randomizedName?: Uint8Array | undefined;
}

/** The entry of `inFlight` that `message` answers, or why there is none. Safe on any bytes. */
export function matchReply<T extends Matchable>(
  message: Uint8Array,
  inFlight: ReadonlyMap<number, T>,
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

/** Whether a message that `matchReply` took says that it is not all there is. */
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
 * Whether a message without a question is what the upstream has to say to `pending`. A server that could not read the
 * question, or did not want to, says so without repeating it (RFC 6891 §7). On a connection only the upstream could,
 * so anything counts; `acceptReply` takes errors alone for a reply. A datagram has to be an error and nothing else: it
 * carries no data, so believing it can poison nothing, and a forger who has guessed ID and port could as well repeat
 * the question.
 */
function isOwnError(message: Uint8Array, { transport }: Matchable): boolean {
  if (transport === 'tcp') return true;
  if (ancountOf(message) + nscountOf(message) > 0) return false;
  const isWhole = arcountOf(message) === 0 ? message.length === HEADER_BYTES : hasOnlyOpt(message);
  const rcode = rcodeOf(message);
  return isWhole && rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN;
}

/**
 * Whether `message`, which matches a query sent as `randomizedName`, lacks the letter case that should have come back with
 * the question: it is easier to forge than a reply must be there. FORMERR and NOTIMP are believed all the same, because
 * they come from servers that cannot read a question, and what follows is the same question without EDNS. Any other
 * error would be the end of a query; so it is only a reason to ask over TCP, which is harder to forge than the case is.
 */
export function isUnproven(message: Uint8Array, randomizedName: Uint8Array | undefined): boolean {
  if (randomizedName === undefined || qdcountOf(message) !== 0) return false;
  const rcode = rcodeOf(message);
  return rcode !== RCODE.FORMERR && rcode !== RCODE.NOTIMP;
}

/** One additional record without a question before it, an OPT. */
function hasOnlyOpt(message: Uint8Array): boolean {
  return (
    arcountOf(message) === 1 &&
    message.length >= HEADER_BYTES + OPT_BYTES &&
    message[HEADER_BYTES] === 0 &&
    u16(message, HEADER_BYTES + 1) === TYPE.OPT
  );
}

/** The whole rcode of a message without a question: an OPT has its upper bits (RFC 6891 §6.1.3). */
function rcodeOf(message: Uint8Array): number {
  const upper = hasOnlyOpt(message) ? (message[HEADER_BYTES + 5] as number) : 0;
  return (upper << 4) | (flagsOf(message) & RCODE_MASK);
}
