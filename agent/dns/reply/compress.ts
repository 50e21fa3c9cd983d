/**
 * Rewrites a message with its names compressed (RFC 1035 §4.1.4). A pointer replaces a name only if the same bytes were
 * written before, so letter case stays as received. Only an owner that is the whole question name points to the
 * question: `respond` puts each client's letter case there, and an alias's target or an SOA must not change with it. In
 * RDATA only names of the types of RFC 1035 are compressed, those of other types are written in full (RFC 3597 §4).
 *
 * Work and memory are bounded by the size of the two messages: every byte is written once, every name looked up by
 * node.
 */
import { MAX_FRAME_BYTES } from '../frame.ts';
import { HEADER_BYTES, putU16, u16 } from '../header.ts';
import { isName, partEnd, type Shape, shapeOf } from '../rdata.ts';
import type { RecordView } from '../records.ts';
import { POINTER_TO_QUESTION } from './check.ts';
import { ROOT, type Suffixes } from './suffixes.ts';

/** Highest offset that a compression pointer can express. */
const MAX_POINTER_OFFSET = 0x3fff;
/** Type, class, TTL and RDLENGTH. */
const FIXED_BYTES = 10;
/** Longest name plus the data after it, up to the next check for remaining room. */
const SLACK_BYTES = 512;

const out = Buffer.allocUnsafeSlow(MAX_FRAME_BYTES + SLACK_BYTES);

/** A rewritten message. The offsets of `records` are those in the new `wire`. */
export interface Written {
  /** A new message, exactly as long as necessary. */
  readonly wire: Buffer;
  readonly records: readonly RecordView[];
}

/**
 * The message in `wire` with only `records`, whose names are in `suffixes`; undefined if it would exceed `maxBytes`.
 * `wire` is not changed.
 */
export function compressed(
  wire: Buffer,
  records: readonly RecordView[],
  suffixes: Suffixes,
  maxBytes: number,
): Written | undefined {
  const questionEnd = questionEndOf(wire);
  wire.copy(out, 0, 0, questionEnd);
  const written = new Array<RecordView>(records.length);
  const counts = { answer: 0, authority: 0, additional: 0 };
  let at = questionEnd;
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as RecordView;
    const view = putRecord(wire, record, suffixes, at, maxBytes);
    if (view === undefined) return undefined;
    written[i] = view;
    counts[record.section]++;
    at = view.rdataEnd;
  }
  putU16(out, 6, counts.answer);
  putU16(out, 8, counts.authority);
  putU16(out, 10, counts.additional);
  const own = Buffer.allocUnsafe(at);
  out.copy(own, 0, 0, at);
  return { wire: own, records: written };
}

/** The question's name is not compressed: no name precedes it. */
function questionEndOf(wire: Uint8Array): number {
  let at = HEADER_BYTES;
  while (wire[at] !== 0) at += (wire[at] as number) + 1;
  return at + 5;
}

/** Writes `record` at `start` of `out`; undefined if it exceeds `limit`. */
function putRecord(
  wire: Buffer,
  record: RecordView,
  suffixes: Suffixes,
  start: number,
  limit: number,
): RecordView | undefined {
  const { section, type, class: qclass, ttlSeconds, ttlOffset } = record;
  if (start > limit) return undefined;
  const fixed = putOwner(wire, record, suffixes, start);
  putBytes(wire, ttlOffset - 4, ttlOffset + 4, fixed, limit);
  const rdataStart = fixed + FIXED_BYTES;
  const rdataEnd = putRdata(wire, record, suffixes, rdataStart, limit);
  if (rdataEnd < 0 || rdataEnd > limit) return undefined;
  putU16(out, fixed + 8, rdataEnd - rdataStart);
  return {
    section,
    start,
    type,
    class: qclass,
    ttlSeconds,
    ttlOffset: fixed + 4,
    rdataStart,
    rdataEnd,
  };
}

function putOwner(wire: Uint8Array, { start }: RecordView, suffixes: Suffixes, at: number): number {
  const isQuestion = u16(wire, start) === POINTER_TO_QUESTION;
  const node = isQuestion ? suffixes.question : suffixes.of(start);
  if (node !== suffixes.question || node === ROOT) return putName(wire, node, suffixes, at, true);
  putU16(out, at, POINTER_TO_QUESTION);
  return at + 2;
}

/** Offset after the RDATA; -1 if it would exceed `limit`. */
function putRdata(
  wire: Buffer,
  record: RecordView,
  suffixes: Suffixes,
  start: number,
  limit: number,
): number {
  const { rdataStart, rdataEnd } = record;
  const shape = shapeOf(record.type, record.class);
  if (shape?.hasName !== true) return putBytes(wire, rdataStart, rdataEnd, start, limit);
  return putParts(wire, record, shape, suffixes, start, limit);
}

function putParts(
  wire: Buffer,
  { rdataStart, rdataEnd }: RecordView,
  { parts, compresses }: Shape,
  suffixes: Suffixes,
  start: number,
  limit: number,
): number {
  let from = rdataStart;
  let to = start;
  for (const part of parts) {
    if (to > limit) return -1;
    const end = partEnd(wire, from, rdataEnd, part);
    if (isName(part)) to = putName(wire, suffixes.of(from), suffixes, to, compresses);
    else to = putBytes(wire, from, end, to, limit);
    if (to < 0) return -1;
    from = end;
  }
  return to;
}

function putBytes(wire: Buffer, from: number, end: number, to: number, limit: number): number {
  const next = to + end - from;
  if (next > limit) return -1;
  // For a few bytes the call of a copy function costs more than the copy.
  if (end - from > 64) wire.copy(out, to, from, end);
  else for (let i = 0; i < end - from; i++) out[to + i] = wire[from + i] as number;
  return next;
}

/** Writes a name at `start`, at most 255 bytes; its longest suffix that was written before becomes a pointer. */
function putName(
  wire: Uint8Array,
  name: number,
  suffixes: Suffixes,
  start: number,
  compresses: boolean,
): number {
  let at = start;
  for (let node = name; node !== ROOT; node = suffixes.parent[node] as number) {
    const place = suffixes.place[node] as number;
    if (compresses && place !== 0) {
      putU16(out, at, 0xc000 | place);
      return at + 2;
    }
    if (place === 0 && at <= MAX_POINTER_OFFSET) suffixes.place[node] = at;
    const label = suffixes.label[node] as number;
    const end = label + (wire[label] as number);
    for (let i = label; i <= end; i++) out[at++] = wire[i] as number;
  }
  out[at] = 0;
  return at + 1;
}
