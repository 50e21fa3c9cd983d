/**
 * Rewrites a message with other names or other records. A name of another length moves everything after it, including
 * targets of compression pointers (RFC 1035 §4.1.4), so every name is expanded and written again. RDATA of types
 * without names, or of unknown types, is copied unchanged (RFC 3597 §4).
 */
import type { QuestionFields } from './build.ts';
import { MAX_FRAME_BYTES } from './frame.ts';
import { HEADER_BYTES, putU16, putU32, qdcountOf, u16 } from './header.ts';
import { readName, skipName } from './name.ts';
import { partEnd, shapeOf } from './rdata.ts';
import { type RecordView, readRecords } from './records.ts';

/** A record that replaces another one; its RDATA contains no names. */
export interface Substitute {
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array;
}

/** The changes; absent ones leave the message as it is. Names are uncompressed wire form, letter case as received. */
export interface Changes {
  readonly question?: QuestionFields;
  readonly owner?: (name: Uint8Array) => Uint8Array;
  /** Changes a name in the RDATA of a record of `type`. */
  readonly target?: (name: Uint8Array, type: number) => Uint8Array;
  readonly substitute?: (record: RecordView) => Substitute | undefined;
  /** Whether further messages of `rebuildAll` bring their authority and additional sections as well. */
  readonly isWhole?: boolean;
  /** Returns false for records to leave out. */
  readonly keeps?: (record: RecordView) => boolean;
}

/**
 * The message with `changes`, without data after its last record; undefined if it is malformed or would exceed the
 * maximum size. The input is neither kept nor changed.
 */
export function rebuild(wire: Buffer, changes: Changes): Buffer | undefined {
  return rebuildAll([wire], changes);
}

/** As `rebuild`, with the answer sections of further messages after that of the first, to join chains of aliases. */
export function rebuildAll(wires: readonly Buffer[], changes: Changes): Buffer | undefined {
  const [first] = wires as readonly [Buffer];
  const sections = sectionsOf(wires, changes);
  if (sections === undefined || qdcountOf(first) > 1) return undefined;
  const writer = new Writer(Math.min(MAX_FRAME_BYTES, 512 + 2 * first.length));
  try {
    writer.header(first, sections);
    if (qdcountOf(first) > 0) writer.question(questionOf(first, changes));
    for (const { source, record } of sections.flat()) writer.record(source, record, changes);
  } catch (error) {
    if (error instanceof Unwritable) return undefined;
    throw error;
  }
  return writer.done();
}

interface Placed {
  readonly source: Buffer;
  readonly record: RecordView;
}

type Sections = readonly [answer: Placed[], authority: Placed[], additional: Placed[]];

function sectionsOf(wires: readonly Buffer[], { keeps, isWhole }: Changes): Sections | undefined {
  const sections: Sections = [[], [], []];
  for (const [at, source] of wires.entries()) {
    const records = readRecords(source);
    if (records === undefined) return undefined;
    for (const record of records) {
      const isWanted =
        at === 0 ? (keeps?.(record) ?? true) : isWhole === true || record.section === 'answer';
      if (isWanted) sections[SECTION[record.section]].push({ source, record });
    }
  }
  return sections;
}

const SECTION = { answer: 0, authority: 1, additional: 2 } as const;

function questionOf(wire: Buffer, { question }: Changes): QuestionFields {
  if (question !== undefined) return question;
  const fixed = skipName(wire, HEADER_BYTES, wire.length);
  const name = nameAt(wire, HEADER_BYTES, wire.length);
  return { name, type: u16(wire, fixed), class: u16(wire, fixed + 2) };
}

/** Thrown inside this file if a message cannot be written. */
class Unwritable extends Error {}

function nameAt(wire: Uint8Array, offset: number, end: number): Uint8Array {
  const name = readName(wire, offset, end);
  if (name === undefined) throw new Unwritable('malformed name');
  return name;
}

/** Highest offset that a compression pointer can express. */
const MAX_POINTER = 0x3fff;

class Writer {
  #out: Buffer;
  #at = 0;
  /** Offsets of the names written so far, by their bytes. */
  readonly #places = new Map<string, number>();

  constructor(bytes: number) {
    this.#out = Buffer.allocUnsafe(bytes);
  }

  header(wire: Buffer, sections: Sections): void {
    this.#bytes(wire.subarray(0, HEADER_BYTES));
    for (const [index, { length }] of sections.entries()) putU16(this.#out, 6 + 2 * index, length);
  }

  question({ name, type, class: qclass }: QuestionFields): void {
    this.#name(name, true);
    this.#u16(type);
    this.#u16(qclass);
  }

  record(wire: Buffer, record: RecordView, changes: Changes): void {
    const { owner, substitute } = changes;
    const name = nameAt(wire, record.start, wire.length);
    this.#name(owner?.(name) ?? name, true);
    const other = substitute?.(record);
    this.#u16(other?.type ?? record.type);
    this.#u16(record.class);
    this.#room(6);
    putU32(this.#out, this.#at, other?.ttlSeconds ?? record.ttlSeconds);
    this.#at += 6;
    const start = this.#at;
    if (other === undefined) this.#rdata(wire, record, changes);
    else this.#bytes(other.rdata);
    putU16(this.#out, start - 2, this.#at - start);
  }

  done(): Buffer {
    const message = Buffer.allocUnsafeSlow(this.#at);
    this.#out.copy(message, 0, 0, this.#at);
    return message;
  }

  #rdata(wire: Buffer, record: RecordView, { target }: Changes): void {
    const { type, rdataStart, rdataEnd } = record;
    const shape = shapeOf(type, record.class);
    let at = rdataStart;
    for (const part of shape?.parts.includes('name') === true ? shape.parts : []) {
      const end = partEnd(wire, at, rdataEnd, part);
      if (end < 0) throw new Unwritable('RDATA shorter than its type');
      if (part === 'name') {
        const name = nameAt(wire, at, wire.length);
        this.#name(target?.(name, type) ?? name, shape?.compresses === true);
      } else {
        this.#bytes(wire.subarray(at, end));
      }
      at = end;
    }
    this.#bytes(wire.subarray(at, rdataEnd));
  }

  /** Writes a name; its longest part that was written before becomes a pointer. */
  #name(name: Uint8Array, compresses: boolean): void {
    this.#room(name.length);
    const bytes = Buffer.from(name.buffer, name.byteOffset, name.length);
    for (let at = 0; (name[at] as number) !== 0; ) {
      const rest = bytes.latin1Slice(at);
      const known = this.#places.get(rest);
      if (compresses && known !== undefined) {
        this.#u16(0xc000 | known);
        return;
      }
      if (known === undefined && this.#at <= MAX_POINTER) this.#places.set(rest, this.#at);
      const next = at + 1 + (name[at] as number);
      this.#bytes(name.subarray(at, next));
      at = next;
    }
    this.#bytes(Uint8Array.of(0));
  }

  #u16(value: number): void {
    this.#room(2);
    putU16(this.#out, this.#at, value);
    this.#at += 2;
  }

  #bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#out.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#out.length) return;
    if (needed > MAX_FRAME_BYTES) throw new Unwritable('message too long');
    const larger = Buffer.allocUnsafe(Math.min(MAX_FRAME_BYTES, 2 * needed));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }
}
