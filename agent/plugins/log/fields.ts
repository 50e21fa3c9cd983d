/** The placeholders of a log format (CoreDNS's names). */
import { FLAG, HEADER_BYTES, opcodeOf } from '../../dns/header.ts';
import { className, rcodeName, typeName } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import { askedEndpoint } from '../../query/asked.ts';
import type { Query } from '../../query/query.ts';

/** Result of a query for its log line. */
export interface Outcome {
  /** Undefined for a query that is dropped. */
  readonly rcode: number | undefined;
  /** The response's flags word, before `respond` fits it to the client. */
  readonly flags: number;
  /** Bytes of the response, before truncation and without OPT. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** The text that replaces a placeholder. */
export type Field = (query: Query, outcome: Outcome) => string;

/** Replaces a missing value. */
export const EMPTY = '-';

/** By the placeholder without its braces. */
export const FIELDS: Readonly<Record<string, Field>> = {
  type: (query) => typeName(query.type),
  name: (query) => query.nameText,
  class: (query) => className(query.class),
  proto: (query) => query.transport,
  remote: (query) => bracketed(query.client.address),
  port: (query) => String(query.client.port),
  local: (query) => {
    const asked = askedEndpoint(query);
    return asked === undefined ? EMPTY : bracketed(asked.address);
  },
  size: (query) => String(query.length),
  '>id': (query) => String(query.id),
  '>opcode': (query) => String(opcodeOf(query.head.flags)),
  '>do': (query) => String(query.dnssecOk),
  '>bufsize': (query) => String(query.transport === 'tcp' ? 65_535 : query.head.udpSizeBytes),
  rcode: (_query, { rcode }) => (rcode === undefined ? EMPTY : rcodeName(rcode)),
  '>rflags': (query, outcome) =>
    outcome.rcode === undefined ? EMPTY : flagNames(query, outcome.flags),
  rsize: (_query, { bytes }) => String(bytes),
  duration: (_query, { durationMs }) => `${seconds(durationMs)}s`,
};

/** The outcome of an answer. An answer of 0 bytes is not sent, so it counts as dropped. */
export function answered(answer: Answer, durationMs: number): Outcome {
  const { length: bytes, rcode } = answer;
  if (bytes === 0) return dropped(durationMs);
  return { rcode, flags: answer.flags, bytes, durationMs };
}

/** The server will write header, question and rcode. */
export function failed(query: Query, rcode: number, durationMs: number): Outcome {
  const bytes = HEADER_BYTES + query.head.nameLength + 4;
  return { rcode, flags: FLAG.QR, bytes, durationMs };
}

/** The server will send nothing. */
export function dropped(durationMs: number): Outcome {
  return { rcode: undefined, flags: 0, bytes: 0, durationMs };
}

/** In CoreDNS's order. */
const FLAG_NAMES = [
  [FLAG.QR, 'qr'],
  [FLAG.AA, 'aa'],
  [FLAG.TC, 'tc'],
  [FLAG.RD, 'rd'],
  [FLAG.RA, 'ra'],
  [FLAG.AD, 'ad'],
  [FLAG.CD, 'cd'],
] as const;

/** RD and CD are the client's own in every response (RFC 1035 §4.1.1, RFC 4035 §3.2.2). */
function flagNames(query: Query, answerFlags: number): string {
  const echoed = FLAG.RD | FLAG.CD;
  const flags = (answerFlags & ~echoed) | (query.head.flags & echoed) | FLAG.QR;
  let text = '';
  for (const [bit, name] of FLAG_NAMES) {
    if ((flags & bit) !== 0) text += text === '' ? name : `,${name}`;
  }
  return text;
}

/** Seconds without exponent and without trailing zeros, to the nanosecond. */
function seconds(durationMs: number): string {
  const text = (durationMs / 1_000).toFixed(9);
  let end = text.length;
  while (text[end - 1] === '0') end--;
  return text.slice(0, text[end - 1] === '.' ? end - 1 : end);
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
