/** One question without EDNS and its reply, for programs that rarely ask a server. */
import { buildQuery, type QuestionFields } from '../build.ts';
import { FLAG, flagsOf, HEADER_BYTES, idOf, OPCODE_MASK, qdcountOf } from '../header.ts';
import { RCODE, TYPE } from '../iana.ts';
import { matchesQuestion, type Reply, readReply } from '../reply.ts';

/** `flags`: FLAG bits to set. */
export function simpleQuery(id: number, question: QuestionFields, flags: number): Buffer {
  return buildQuery({ ...question, id, flags, dnssecOk: false, udpSizeBytes: undefined });
}

/**
 * The reply in `message` to the query `id` for `question`; undefined if it is malformed or another message. An error
 * may come without a question, as from servers that could not parse the query.
 */
export function replyTo(
  id: number,
  { name, type, class: qclass }: QuestionFields,
  message: Buffer,
): Reply | undefined {
  if (message.length < HEADER_BYTES || idOf(message) !== id) return undefined;
  if ((flagsOf(message) & (FLAG.QR | OPCODE_MASK)) !== FLAG.QR) return undefined;
  const reply = readReply(message);
  if (reply === undefined || matchesQuestion(message, name, type, qclass)) return reply;
  const isError = reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN;
  return isError && qdcountOf(message) === 0 ? reply : undefined;
}

/** First string of the first answer, if that is a TXT record. */
export function firstText({ wire, records: [first] }: Reply): string | undefined {
  if (first?.section !== 'answer' || first.type !== TYPE.TXT) return undefined;
  const start = first.rdataStart + 1;
  const end = start + (wire[first.rdataStart] ?? 0);
  if (start > first.rdataEnd || end > first.rdataEnd) return undefined;
  return wire.toString('latin1', start, end);
}
