/** Walks the resource records of a message without decoding them (RFC 1035 §4.1.3). */
import { ancountOf, arcountOf, HEADER_BYTES, nscountOf, qdcountOf, u16, u32 } from './header.ts';
import { skipName } from './name.ts';

/** A section of records (RFC 1035 §4.1). */
export type Section = 'answer' | 'authority' | 'additional';

/** One record, by offsets into the message. */
export interface RecordView {
  readonly section: Section;
  /** Offset of the owner name. */
  readonly start: number;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  /** Offset of the 4 TTL bytes. */
  readonly ttlOffset: number;
  readonly rdataStart: number;
  readonly rdataEnd: number;
}

/** An owner name of one byte, and the fields after it. */
const MIN_RECORD_BYTES = 11;

/** Offset after the question section, or -1 if it is malformed. */
export function skipQuestions(wire: Uint8Array, end: number): number {
  let at = HEADER_BYTES;
  for (let left = qdcountOf(wire); left > 0; left--) {
    at = skipName(wire, at, end);
    if (at < 0 || at + 4 > end) return -1;
    at += 4;
  }
  return at;
}

/** Offset after the record that starts at `offset`, or -1 if it exceeds `end`. */
export function skipRecord(wire: Uint8Array, offset: number, end: number): number {
  const fixed = skipName(wire, offset, end);
  if (fixed < 0 || fixed + 10 > end) return -1;
  const next = fixed + 10 + u16(wire, fixed + 8);
  return next <= end ? next : -1;
}

/** The record at `offset`, which `skipRecord` has accepted. */
export function recordAt(
  wire: Uint8Array,
  offset: number,
  end: number,
  section: Section,
): RecordView {
  const fixed = skipName(wire, offset, end);
  return {
    section,
    start: offset,
    type: u16(wire, fixed),
    class: u16(wire, fixed + 2),
    ttlSeconds: u32(wire, fixed + 4),
    ttlOffset: fixed + 4,
    rdataStart: fixed + 10,
    rdataEnd: fixed + 10 + u16(wire, fixed + 8),
  };
}

/** All records in order, or undefined if the header's counts do not match the message. */
export function readRecords(wire: Uint8Array, end = wire.length): RecordView[] | undefined {
  if (end < HEADER_BYTES) return undefined;
  let at = skipQuestions(wire, end);
  if (at < 0) return undefined;
  const authorityFrom = ancountOf(wire);
  const additionalFrom = authorityFrom + nscountOf(wire);
  const count = additionalFrom + arcountOf(wire);
  // Before an array of that length is allocated: the header's count may be false.
  if (count * MIN_RECORD_BYTES > end - at) return undefined;
  const records = new Array<RecordView>(count);
  for (let i = 0; i < count; i++) {
    const next = skipRecord(wire, at, end);
    if (next < 0) return undefined;
    const section = i < authorityFrom ? 'answer' : i < additionalFrom ? 'authority' : 'additional';
    records[i] = recordAt(wire, at, end, section);
    at = next;
  }
  return records;
}
