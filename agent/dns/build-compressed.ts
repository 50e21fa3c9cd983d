/**
 * Responses with many records of many names, as small as compression makes them (RFC 1035 §4.1.4). `buildResponse` is
 * for those whose records all have the question's name.
 */
import type { NewRecord, NewResponse, QuestionFields } from './build.ts';
import { MAX_FRAME_BYTES } from './frame.ts';
import { FLAG, HEADER_BYTES, putHeader, putU16, putU32 } from './header.ts';
import { MAX_NAME_BYTES } from './name.ts';
import { isName, partEnd, shapeOf } from './rdata.ts';

/** Highest offset that a compression pointer can express. */
const MAX_POINTER = 0x3fff;
/** Type, class, TTL and RDLENGTH. */
const FIXED_BYTES = 10;

const out = Buffer.allocUnsafeSlow(MAX_FRAME_BYTES);

/** A message and the offsets of its TTLs. */
export interface Built {
  readonly wire: Buffer;
  readonly ttlOffsets: readonly number[];
}

/**
 * A response without OPT to `question`, as `buildResponse`. Records that do not fit into `maxBytes` are left out: those
 * at the end of the answer section, and of the additional section first. RDATA must be well-formed.
 */
export function buildCompressed(
  question: QuestionFields,
  response: NewResponse,
  maxBytes = MAX_FRAME_BYTES,
): Built {
  const writer = new Writer(question, maxBytes);
  const sections = [response.answer, response.authority, response.additional].map((records = []) =>
    writer.section(records),
  );
  const [answer = 0, authority = 0, additional = 0] = sections;
  const flags = FLAG.QR | response.flags | (response.rcode & 0xf);
  putHeader(out, 0, flags, [1, answer, authority, additional]);
  return writer.done();
}

class Writer {
  readonly #class: number;
  readonly #maxBytes: number;
  /** Offsets of the names written so far, by their bytes. */
  readonly #places = new Map<string, number>();
  readonly #ttlOffsets: number[] = [];
  #at = HEADER_BYTES;

  constructor({ name, type, class: qclass }: QuestionFields, maxBytes: number) {
    this.#class = qclass;
    this.#maxBytes = Math.min(maxBytes, MAX_FRAME_BYTES);
    this.#name(name, true);
    putU16(out, this.#at, type);
    putU16(out, this.#at + 2, qclass);
    this.#at += 4;
  }

  /** Writes as many of `records` as fit; returns how many. */
  section(records: readonly NewRecord[]): number {
    let count = 0;
    for (const record of records) {
      if (!this.#fits(record)) return count;
      this.#record(record);
      count++;
    }
    return count;
  }

  done(): Built {
    const wire = Buffer.allocUnsafeSlow(this.#at);
    out.copy(wire, 0, 0, this.#at);
    return { wire, ttlOffsets: this.#ttlOffsets };
  }

  /** Counts names as uncompressed once not much room is left: a record that is written must never exceed it. */
  #fits({ name, rdata }: NewRecord): boolean {
    const needed = (name === undefined ? 2 : MAX_NAME_BYTES) + FIXED_BYTES + rdata.length;
    return this.#at + needed <= this.#maxBytes;
  }

  #record({ name, type, ttlSeconds, rdata }: NewRecord): void {
    if (name === undefined) this.#pointer(HEADER_BYTES);
    else this.#name(name, true);
    putU16(out, this.#at, type);
    putU16(out, this.#at + 2, this.#class);
    putU32(out, this.#at + 4, ttlSeconds);
    this.#ttlOffsets.push(this.#at + 4);
    this.#at += FIXED_BYTES;
    const start = this.#at;
    this.#rdata(type, rdata);
    putU16(out, start - 2, this.#at - start);
  }

  #rdata(type: number, rdata: Uint8Array): void {
    const shape = shapeOf(type, this.#class);
    if (shape?.hasName !== true) {
      this.#bytes(rdata, 0, rdata.length);
      return;
    }
    let at = 0;
    for (const part of shape.parts) {
      const end = partEnd(rdata, at, rdata.length, part);
      if (isName(part)) this.#name(rdata.subarray(at, end), shape.compresses);
      else this.#bytes(rdata, at, end);
      at = end;
    }
  }

  /** Writes a name; its longest part that was written before becomes a pointer, unless its type forbids that. */
  #name(name: Uint8Array, compresses: boolean): void {
    const text = Buffer.from(name.buffer, name.byteOffset, name.length).latin1Slice();
    for (let at = 0; (name[at] as number) !== 0; ) {
      const rest = at === 0 ? text : text.slice(at);
      const known = this.#places.get(rest);
      if (known !== undefined) {
        if (compresses) this.#pointer(known);
        else this.#bytes(name, at, name.length);
        return;
      }
      if (this.#at <= MAX_POINTER) this.#places.set(rest, this.#at);
      const next = at + 1 + (name[at] as number);
      this.#bytes(name, at, next);
      at = next;
    }
    out[this.#at++] = 0;
  }

  #pointer(offset: number): void {
    putU16(out, this.#at, 0xc000 | offset);
    this.#at += 2;
  }

  #bytes(bytes: Uint8Array, from: number, end: number): void {
    // For a few bytes the call of a copy function costs more than the copy.
    for (let i = from; i < end; i++) out[this.#at++] = bytes[i] as number;
  }
}
