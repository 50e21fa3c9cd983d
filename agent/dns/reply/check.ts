/**
 * Whether every name and every field of a message is well-formed; clients could not parse it otherwise. A pointer must
 * point to a name before it: any other target may change on the way to a client (ID, flags, TTLs), and the name would
 * change with it.
 */
import { HEADER_BYTES, u16 } from '../header.ts';
import { isName, partEnd, shapeOf } from '../rdata.ts';
import type { RecordView } from '../records.ts';
import type { NameReader } from './names.ts';

const POINTER = 0xc0;
/** A compression pointer to the question's name, which begins after the header (RFC 1035 §4.1.4). */
export const POINTER_TO_QUESTION = (POINTER << 8) | HEADER_BYTES;
/** Type, class, TTL and RDLENGTH: the fields between an owner name and RDATA. */
const FIXED_BYTES = 10;

/** Reads the names of `records`, in order, into `names`; false if a name or RDATA is malformed. */
export function areWellFormed(
  wire: Uint8Array,
  records: readonly RecordView[],
  names: NameReader,
): boolean {
  for (const record of records) {
    if (!isOwnerWellFormed(wire, record, names) || !isRdataWellFormed(wire, record, names))
      return false;
  }
  return true;
}

function isOwnerWellFormed(wire: Uint8Array, record: RecordView, names: NameReader): boolean {
  const { start, rdataStart } = record;
  // Most owners are a pointer to the question, whose name has been read.
  if (u16(wire, start) === POINTER_TO_QUESTION) return true;
  if (!names.read(start, rdataStart - FIXED_BYTES, true)) return false;
  // The root is shorter than a pointer to it.
  names.canShrink ||= wire[start] !== 0 && names.isQuestion(start);
  return true;
}

function isRdataWellFormed(wire: Uint8Array, record: RecordView, names: NameReader): boolean {
  const { rdataStart, rdataEnd } = record;
  const shape = shapeOf(record.type, record.class);
  if (shape === undefined) return true;
  if (shape.fixedBytes >= 0) return rdataEnd - rdataStart === shape.fixedBytes;
  const { parts, compresses } = shape;
  let at = rdataStart;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as (typeof parts)[number];
    const next = partEnd(wire, at, rdataEnd, part);
    if (next < 0) return false;
    if (isName(part) && !names.read(at, rdataEnd, compresses)) return false;
    at = next;
  }
  return at === rdataEnd;
}
