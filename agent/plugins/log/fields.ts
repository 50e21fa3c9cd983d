/** The placeholders of a log format (CoreDNS's names). */
import { DnsError, DropQuery } from '../../base/errors.ts';
import { FLAG, HEADER_BYTES, opcodeOf } from '../../dns/header.ts';
import { className, RCODE, rcodeName, typeName } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import { askedEndpoint } from '../../query/asked.ts';
import type { Query } from '../../query/query.ts';
import { type Served, servedAs } from '../../query/served.ts';

/** How long a query took, and why it is logged. */
export interface Selected {
  readonly durationMs: number;
  /** It took as long as `slow` says. */
  readonly isSlow: boolean;
  /** Its line stands for so many queries; undefined if it stands for itself alone. */
  readonly sampledOf: number | undefined;
}

/** Result of a query for its log line. */
export interface Outcome extends Selected {
  /** Undefined for a query that is dropped. */
  readonly rcode: number | undefined;
  /** The response's flags word, before `respond` fits it to the client. */
  readonly flags: number;
  /** Bytes of the response, before truncation and without OPT. */
  readonly bytes: number;
  readonly from: Served;
  /** The plugin that answered; '' if none did. */
  readonly plugin: string;
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
export function answered(
  query: Query,
  answer: Answer,
  isLate: boolean,
  selected: Selected,
): Outcome {
  const { length: bytes, rcode, flags, plugin } = answer;
  if (bytes === 0) return dropped(selected);
  return { ...selected, rcode, flags, bytes, from: servedAs(query, answer, isLate), plugin };
}

/** The outcome of an error: the server will write header, question and rcode, or send nothing. */
export function failed(query: Query, error: unknown, selected: Selected): Outcome {
  if (error instanceof DropQuery) return dropped(selected);
  const rcode = error instanceof DnsError ? error.rcode : RCODE.SERVFAIL;
  const bytes = HEADER_BYTES + query.head.nameLength + 4;
  return { ...selected, rcode, flags: FLAG.QR, bytes, from: 'failure', plugin: '' };
}

function dropped(selected: Selected): Outcome {
  return { ...selected, rcode: undefined, flags: 0, bytes: 0, from: 'dropped', plugin: '' };
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
export function flagNames(query: Query, answerFlags: number): string {
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
