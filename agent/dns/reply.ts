/**
 * A reply message as the cache and `respond` need it: bytes without OPT, record offsets, and the OPT's content. Names
 * and RDATA are not checked: `acceptReply` does that for upstream replies.
 */
import type { ExtendedError } from '../base/errors.ts';
import { readExtendedError } from './edns.ts';
import {
  ancountOf,
  FLAG,
  flagsOf,
  HEADER_BYTES,
  nscountOf,
  putU16,
  qdcountOf,
  RCODE_MASK,
  u16,
} from './header.ts';
import { TYPE } from './iana.ts';
import { lowerByte } from './name.ts';
import { type RecordView, readRecords, skipQuestions } from './records.ts';

/** A parsed reply. `records` are offsets into `wire` and do not include the OPT. */
export interface Reply {
  /** The message without its OPT; a copy that never changes, safe to share. */
  readonly wire: Buffer;
  readonly records: readonly RecordView[];
  /** The whole rcode, including the OPT's upper bits. */
  readonly rcode: number;
  readonly truncated: boolean;
  readonly extended: ExtendedError | undefined;
}

/**
 * Parses a whole reply message; undefined if it is malformed. The input is not kept. Additional records after an OPT
 * are removed with it: removing only the OPT would move what compression pointers point to, and those records are
 * optional (RFC 1034 §3.7). Servers put OPT last, or before a TSIG that is valid for this hop only.
 */
export function readReply(message: Buffer): Reply | undefined {
  const records = readRecords(message);
  if (records === undefined || qdcountOf(message) > 1) return undefined;
  const optIndex = records.findIndex((record) => record.type === TYPE.OPT);
  const opt = records[optIndex];
  if (opt !== undefined && opt.section !== 'additional') return undefined;
  if (opt !== undefined) records.length = optIndex;
  const flags = flagsOf(message);
  return {
    wire: upTo(message, records),
    records,
    rcode: (opt === undefined ? 0 : (opt.ttlSeconds >>> 24) << 4) | (flags & RCODE_MASK),
    truncated: (flags & FLAG.TC) !== 0,
    extended: opt && readExtendedError(message, opt.rdataStart, opt.rdataEnd),
  };
}

/** A copy of the message that ends after `records`, with ARCOUNT corrected. */
function upTo(message: Buffer, records: readonly RecordView[]): Buffer {
  const end = records.at(-1)?.rdataEnd ?? skipQuestions(message, message.length);
  const wire = Buffer.allocUnsafe(end);
  message.copy(wire, 0, 0, end);
  putU16(wire, 10, records.length - ancountOf(message) - nscountOf(message));
  return wire;
}

/** Whether a well-formed message has a question in lower case. */
export function hasLowerQuestion(message: Uint8Array): boolean {
  if (qdcountOf(message) === 0) return false;
  for (let at = HEADER_BYTES; message[at] !== 0; at++) {
    const byte = message[at] as number;
    if (byte !== lowerByte(byte)) return false;
  }
  return true;
}

/**
 * Whether the reply's single question is `name` (lower-case wire form), `type` and `class`, ignoring letter case
 * (RFC 5452 §9.1). Bounded: safe on any bytes.
 */
export function matchesQuestion(
  message: Uint8Array,
  name: Uint8Array,
  type: number,
  qclass: number,
): boolean {
  const end = HEADER_BYTES + name.length;
  if (message.length < end + 4 || qdcountOf(message) !== 1) return false;
  for (let i = 0; i < name.length; i++) {
    if (lowerByte(message[HEADER_BYTES + i] as number) !== name[i]) return false;
  }
  return u16(message, end) === type && u16(message, end + 2) === qclass;
}
