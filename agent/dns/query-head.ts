/**
 * The single bounded parse of a received query: header, question, and as many records as a query may contain. It
 * accepts and refuses the same as CoreDNS (the accept rules of miekg/dns) and RFC 6891 §6.1.
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
import { MAX_LABEL_BYTES, MAX_NAME_BYTES } from './name.ts';
import { skipRecord } from './records.ts';

/** What to do with a datagram or frame after the parse. */
export const VERDICT = {
  /** A question to resolve. */
  answer: 0,
  /** No response: not a query, or too short to have an ID. */
  silence: 1,
  formErr: 2,
  notImp: 3,
  badVers: 4,
} as const;
/** Result of `readQueryHead`. */
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/** Heads that share an allocation, which costs more than the rest of a head. */
const HEADS_PER_SLAB = 32;
const NAME_ROOM = 256;
/** Room for the name, and the offsets of as many labels as one of 255 bytes can have, the root included. */
const HEAD_BYTES = NAME_ROOM + 128;

let slab = new ArrayBuffer(0);
let slabUsed = 0;

/** Offset in `slab` for the bytes of a new head. */
function takeRoom(): number {
  if (slabUsed + HEAD_BYTES > slab.byteLength) {
    slab = new ArrayBuffer(HEADS_PER_SLAB * HEAD_BYTES);
    slabUsed = 0;
  }
  slabUsed += HEAD_BYTES;
  return slabUsed - HEAD_BYTES;
}

/** Result of the parse. One instance is reused for every datagram; only `answer` verdicts fill all of it. */
export class QueryHead {
  id = 0;
  /** The flags word as received. */
  flags = 0;
  /**
   * QNAME in lower case, wire form, in the first `nameLength` bytes, followed by the labels' offsets (`labelOffset`).
   */
  readonly name: Uint8Array;
  nameLength = 0;
  /** `name` in words of four bytes, the last padded with zeros; `nameWordCount` of them. */
  readonly nameWords: Int32Array;
  /** 32-bit hash of the name's words. Fast, but not collision-resistant. */
  nameHash = 0;
  /** Whether the client sent the name in lower case. */
  isLowerCase = true;
  labelCount = 0;
  type = 0;
  class = 0;
  /** Offset after QTYPE and QCLASS; 12 if the question could not be parsed. */
  questionEnd = HEADER_BYTES;
  hasOpt = false;
  /** Client's UDP payload size from OPT, at least 512; 512 without OPT (RFC 6891 §6.2.3). */
  udpSizeBytes = 512;
  dnssecOk = false;
  /** Offsets of the OPT's RDATA, both 0 without OPT. */
  optRdataStart = 0;
  optRdataEnd = 0;

  constructor() {
    const at = takeRoom();
    this.name = new Uint8Array(slab, at, HEAD_BYTES);
    this.nameWords = new Int32Array(slab, at, NAME_ROOM / 4);
  }

  /** Offset of a label in `name`; of the root if `label` is `labelCount`. */
  labelOffset(label: number): number {
    return this.name[NAME_ROOM + label] as number;
  }

  get nameWordCount(): number {
    return (this.nameLength + 3) >> 2;
  }
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

/** Parses the first `length` bytes of `wire` into `head`. Never throws, never reads past `length`. */
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

/** Records the name's labels and copies it in lower case. A compressed QNAME cannot point to anything: malformed. */
function readQuestion(wire: Uint8Array, length: number, head: QueryHead): boolean {
  const { name } = head;
  let at = HEADER_BYTES;
  let labels = 0;
  for (;;) {
    if (at >= length) return false;
    const labelBytes = wire[at] as number;
    const used = at - HEADER_BYTES;
    if (labelBytes > MAX_LABEL_BYTES || used + labelBytes + 1 > MAX_NAME_BYTES) return false;
    name[NAME_ROOM + labels] = used;
    at += labelBytes + 1;
    if (labelBytes === 0) break;
    labels++;
  }
  if (at + 4 > length) return false;
  head.nameLength = at - HEADER_BYTES;
  head.labelCount = labels;
  copyName(wire, head);
  head.type = u16(wire, at);
  head.class = u16(wire, at + 2);
  head.questionEnd = at + 4;
  return true;
}

/** Sets the name, lower-case wire form, of a new head without a message. */
export function setName(head: QueryHead, name: Uint8Array): void {
  head.name.set(name);
  head.nameLength = name.length;
  for (let at = 0; (name[at] as number) !== 0; at += (name[at] as number) + 1) {
    head.name[NAME_ROOM + head.labelCount++] = at;
  }
  head.name[NAME_ROOM + head.labelCount] = name.length - 1;
  for (let i = 0; i < head.nameWordCount; i++) {
    head.nameHash = mixed(head.nameHash, head.nameWords[i] as number);
  }
}

function mixed(hash: number, word: number): number {
  const next = Math.imul(hash ^ word, 0x9e3779b1);
  return next ^ (next >>> 15);
}

/** Copies four bytes at a time; at least four more follow the name, so no word exceeds the message. */
function copyName(wire: Uint8Array, head: QueryHead): void {
  const { nameWords, nameLength, nameWordCount } = head;
  let hash = 0;
  let capitals = 0;
  for (let i = 0; i < nameWordCount; i++) {
    let word = wordAt(wire, HEADER_BYTES + 4 * i);
    const left = nameLength - 4 * i;
    if (left < 4) word &= (1 << (8 * left)) - 1;
    const found = capitalsIn(word);
    capitals |= found;
    word |= found >>> 2;
    nameWords[i] = word;
    hash = mixed(hash, word);
  }
  head.nameHash = hash;
  head.isLowerCase = capitals === 0;
}

function wordAt(wire: Uint8Array, at: number): number {
  return (
    (wire[at] as number) |
    ((wire[at + 1] as number) << 8) |
    ((wire[at + 2] as number) << 16) |
    ((wire[at + 3] as number) << 24)
  );
}

/** The highest bit of each of the four bytes that is a capital letter. Lengths of labels are below all letters. */
function capitalsIn(word: number): number {
  const low = word & 0x7f7f7f7f;
  const fromA = low + 0x3f3f3f3f;
  const behindZ = low + 0x25252525;
  return (fromA ^ behindZ) & ~word & 0x80808080;
}

/** Parses the records after the question; bytes after the last counted record are tolerated, as in CoreDNS. */
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

/** Records the OPT at `at`; returns its EDNS version (RFC 6891 §6.1.3). */
function readOpt(wire: Uint8Array, at: number, end: number, head: QueryHead): number {
  head.hasOpt = true;
  head.udpSizeBytes = Math.max(512, u16(wire, at + 3));
  head.dnssecOk = ((wire[at + 7] as number) & 0x80) !== 0;
  head.optRdataStart = at + 11;
  head.optRdataEnd = end;
  return wire[at + 6] as number;
}
