/** Finds, in the bytes of a response, neighbouring records whose order may change without touching anything else. */
import { ancountOf, arcountOf, HEADER_BYTES, nscountOf, u16 } from '../../dns/header.ts';
import { TYPE } from '../../dns/iana.ts';
import { readName, sameName } from '../../dns/name.ts';
import { skipQuestions } from '../../dns/records.ts';

/**
 * Two or more adjacent records of one RRset. `offsets` are those of their TTLs: TTL, RDLENGTH and RDATA are moved,
 * `bytes` long in each, so owner names and all other offsets stay.
 */
export interface Run {
  readonly type: number;
  /** Offset of the first record's owner name. */
  readonly ownerOffset: number;
  readonly offsets: readonly number[];
  readonly bytes: number;
}

const NONE: readonly Run[] = [];

/** Bytes of TTL and RDLENGTH. */
export const FIXED_BYTES = 6;

/**
 * Runs of A, AAAA and MX records in a well-formed response, given the offset of every record's TTL in order. MX records
 * form a run only if their RDATA has the same length and no compression pointer points into it.
 */
export function findRuns(wire: Uint8Array, ttlOffsets: readonly number[]): readonly Run[] {
  const records = ancountOf(wire) + nscountOf(wire) + arcountOf(wire);
  if (ttlOffsets.length !== records || !hasNeighbours(wire, ttlOffsets)) return NONE;
  const runs: Run[] = [];
  const sectionEnds = [ancountOf(wire), ancountOf(wire) + nscountOf(wire), records];
  let start = skipQuestions(wire, wire.length);
  for (let i = 0; i < records; ) {
    const limit = sectionEnds.find((end) => end > i) as number;
    const run = runAt(wire, ttlOffsets.slice(i, limit), start);
    if (run.offsets.length > 1 && mayMove(wire, run)) runs.push(run);
    i += run.offsets.length;
    start = endOf(wire, ttlOffsets[i - 1] as number);
  }
  return runs;
}

/** A quick check: most answers have one record, or one of each type. */
function hasNeighbours(wire: Uint8Array, ttlOffsets: readonly number[]): boolean {
  let before = 0;
  for (let i = 0; i < ttlOffsets.length; i++) {
    const type = u16(wire, (ttlOffsets[i] as number) - 4);
    if (type === before && isBalanced(type)) return true;
    before = type;
  }
  return false;
}

function isBalanced(type: number): boolean {
  return type === TYPE.A || type === TYPE.AAAA || type === TYPE.MX;
}

function endOf(wire: Uint8Array, ttlOffset: number): number {
  return ttlOffset + FIXED_BYTES + u16(wire, ttlOffset + 4);
}

/**
 * The first of the records with these TTL offsets, all in one section, and the records directly after it in the same
 * RRset; only the first if its type is not reordered.
 */
function runAt(wire: Uint8Array, ttlOffsets: readonly number[], start: number): Run {
  const first = ttlOffsets[0] as number;
  const type = u16(wire, first - 4);
  const offsets = [first];
  const bytes = endOf(wire, first) - first;
  const run: Run = { type, ownerOffset: start, offsets, bytes };
  if (!isBalanced(type)) return run;
  let end = endOf(wire, first);
  for (let i = 1; i < ttlOffsets.length; i++) {
    const next = ttlOffsets[i] as number;
    const same = endOf(wire, next) - next === bytes && belongs(wire, run, end, next);
    if (!same) break;
    offsets.push(next);
    end = endOf(wire, next);
  }
  return run;
}

/** Whether the record at `start`, TTL at `ttlOffset`, has the owner, type and class of `run`. */
function belongs(wire: Uint8Array, run: Run, start: number, ttlOffset: number): boolean {
  const first = run.offsets[0] as number;
  if (u16(wire, ttlOffset - 4) !== run.type) return false;
  if (u16(wire, ttlOffset - 2) !== u16(wire, first - 2)) return false;
  // Servers usually write the same pointer for every record of an RRset.
  if (ttlOffset - start === 6 && first - run.ownerOffset === 6) {
    return u16(wire, start) === u16(wire, run.ownerOffset);
  }
  const a = readName(wire, start, wire.length);
  const b = readName(wire, run.ownerOffset, wire.length);
  return a !== undefined && b !== undefined && sameName(a, b);
}

/**
 * Addresses contain no names. An MX may contain the target of a pointer elsewhere; any bytes that look like a pointer
 * count.
 */
function mayMove(wire: Uint8Array, run: Run): boolean {
  if (run.type !== TYPE.MX) return true;
  const from = run.offsets[0] as number;
  const to = (run.offsets.at(-1) as number) + run.bytes;
  for (let at = HEADER_BYTES; at + 1 < wire.length; at++) {
    const word = u16(wire, at);
    if (word >= 0xc000 && (word & 0x3fff) >= from && (word & 0x3fff) < to) return false;
  }
  return true;
}
