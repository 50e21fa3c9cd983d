/**
 * The one bounded pass over a received query: header, question, and as many records as a query may carry. What it
 * accepts and refuses follows design §4.2 and the peer's server (miekg/dns accept rules).
 */
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
  u16,
} from './header.ts';
import { CLASS, OPCODE, TYPE } from './iana.ts';
import { lowerOctet, MAX_LABEL_BYTES, MAX_NAME_BYTES } from './name.ts';
import { skipRecord } from './records.ts';

/** What to do with a datagram or frame after the pass. */
export const VERDICT = {
  /** A question to resolve. */
  answer: 0,
  /** Nothing: not a query, or too short to have an ID. */
  silence: 1,
  formErr: 2,
  notImp: 3,
  badVers: 4,
} as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/** Largest number of labels a name of 255 octets can have, the root aside. */
const MAX_LABELS = 127;

/** What the pass finds. One instance is refilled for every datagram; only `answer` verdicts fill all of it. */
export class QueryHead {
  id = 0;
  /** The flags word as received. */
  flags = 0;
  /** QNAME in lower case, wire form, in the first `nameLength` octets. */
  readonly name = new Uint8Array(MAX_NAME_BYTES);
  nameLength = 0;
  /** Of the lower-cased octets of the name; 32 bits. Quick, not safe from collisions. */
  nameHash = 0;
  /** Offsets into `name` of each label; `labelCount` of them. */
  readonly labelOffsets = new Uint8Array(MAX_LABELS + 1);
  labelCount = 0;
  type = 0;
  class = 0;
  /** Offset behind QTYPE and QCLASS; 12 where the question could not be read. */
  questionEnd = HEADER_BYTES;
  hasOpt = false;
  /** Client's UDP payload size from OPT, at least 512; 512 without OPT (RFC 6891 §6.2.3). */
  udpSizeBytes = 512;
  dnssecOk = false;
  /** Where the OPT's RDATA is, both 0 without OPT. */
  optRdataStart = 0;
  optRdataEnd = 0;
}

function reset(head: QueryHead, wire: Uint8Array): void {
  head.id = idOf(wire);
  head.flags = flagsOf(wire);
  head.nameLength = 0;
  head.labelCount = 0;
  head.type = 0;
  head.class = CLASS.IN;
  head.questionEnd = HEADER_BYTES;
  head.hasOpt = false;
  head.udpSizeBytes = 512;
  head.dnssecOk = false;
  head.optRdataStart = 0;
  head.optRdataEnd = 0;
}

/** Reads the first `length` octets of `wire` into `head`. Never throws, never reads past `length`. */
export function readQueryHead(wire: Uint8Array, length: number, head: QueryHead): Verdict {
  if (length < HEADER_BYTES) return VERDICT.silence;
  reset(head, wire);
  if ((head.flags & FLAG.QR) !== 0) return VERDICT.silence;
  if (opcodeOf(head.flags) !== OPCODE.QUERY) return VERDICT.notImp;
  if (qdcountOf(wire) !== 1 || ancountOf(wire) > 1 || nscountOf(wire) > 1 || arcountOf(wire) > 2) {
    return VERDICT.formErr;
  }
  if (!readQuestion(wire, length, head)) return VERDICT.formErr;
  return readRest(wire, length, head);
}

/** Copies QNAME in lower case and notes its labels. A compressed QNAME has nothing to point to: malformed. */
function readQuestion(wire: Uint8Array, length: number, head: QueryHead): boolean {
  const { name, labelOffsets } = head;
  let at = HEADER_BYTES;
  let labels = 0;
  let hash = 0;
  for (;;) {
    if (at >= length) return false;
    const octets = wire[at] as number;
    const used = at - HEADER_BYTES;
    if (octets > MAX_LABEL_BYTES || used + octets + 1 > MAX_NAME_BYTES) return false;
    const labelEnd = at + octets + 1;
    if (labelEnd > length) return false;
    labelOffsets[labels] = used;
    for (; at < labelEnd; at++) {
      const octet = lowerOctet(wire[at] as number);
      name[at - HEADER_BYTES] = octet;
      hash = ((hash << 5) - hash + octet) | 0;
    }
    if (octets === 0) break;
    labels++;
  }
  if (at + 4 > length) return false;
  head.nameLength = at - HEADER_BYTES;
  head.nameHash = hash;
  head.labelCount = labels;
  head.type = u16(wire, at);
  head.class = u16(wire, at + 2);
  head.questionEnd = at + 4;
  return true;
}

/** Walks what follows the question; octets behind the last counted record are tolerated, as the peer does. */
function readRest(wire: Uint8Array, length: number, head: QueryHead): Verdict {
  let at = head.questionEnd;
  for (let left = ancountOf(wire) + nscountOf(wire); left > 0; left--) {
    at = skipRecord(wire, at, length);
    if (at < 0) return VERDICT.formErr;
  }
  let version = 0;
  for (let left = arcountOf(wire); left > 0; left--) {
    const next = skipRecord(wire, at, length);
    if (next < 0) return VERDICT.formErr;
    if (wire[at] === 0 && u16(wire, at + 1) === TYPE.OPT) {
      // More than one OPT is a format error (RFC 6891 §6.1.1).
      if (head.hasOpt) return VERDICT.formErr;
      version = readOpt(wire, at, next, head);
    }
    at = next;
  }
  return version === 0 ? VERDICT.answer : VERDICT.badVers;
}

/** Notes the OPT record at `at`; returns its EDNS version (RFC 6891 §6.1.3). */
function readOpt(wire: Uint8Array, at: number, end: number, head: QueryHead): number {
  head.hasOpt = true;
  head.udpSizeBytes = Math.max(512, u16(wire, at + 3));
  head.dnssecOk = ((wire[at + 7] as number) & 0x80) !== 0;
  head.optRdataStart = at + 11;
  head.optRdataEnd = end;
  return wire[at + 6] as number;
}
