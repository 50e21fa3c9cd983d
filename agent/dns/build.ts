/** Messages that the agent builds itself: upstream queries, and responses that plugins synthesise. */
import { OPT_BYTES, putEmptyOpt, putOpt } from './edns.ts';
import { MAX_FRAME_BYTES } from './frame.ts';
import { FLAG, HEADER_BYTES, putHeader, putU16, putU32 } from './header.ts';
import { RCODE } from './iana.ts';

/** The question of an upstream query. `name` is lower-case wire form. */
export interface QuestionFields {
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
}

/** An upstream query: its question, header fields and OPT. */
export interface QueryFields extends QuestionFields {
  readonly id: number;
  /** FLAG bits to set: RD, AD, CD. */
  readonly flags: number;
  readonly dnssecOk: boolean;
  /** Payload size of the OPT; undefined sends no OPT (an upstream that answered FORMERR to EDNS, RFC 6891 §7). */
  readonly udpSizeBytes: number | undefined;
  /** EDNS options as on the wire, for the OPT if there is one. */
  readonly options?: Uint8Array | undefined;
}

/** A whole query message. */
export function buildQuery(fields: QueryFields): Buffer {
  const wire = Buffer.allocUnsafe(queryBytes(fields));
  putQuery(wire, 0, fields);
  return wire;
}

/** Length of the message that `putQuery` writes. */
export function queryBytes({ name, udpSizeBytes, options }: QueryFields): number {
  const optBytes = udpSizeBytes === undefined ? 0 : OPT_BYTES + (options?.length ?? 0);
  return HEADER_BYTES + name.length + 4 + optBytes;
}

/** Writes a whole query message at `start` of `wire`, which must have room for it; returns its end. */
export function putQuery(wire: Buffer, start: number, fields: QueryFields): number {
  const { udpSizeBytes, options, dnssecOk } = fields;
  putU16(wire, start, fields.id);
  putU16(wire, start + 2, fields.flags);
  putU16(wire, start + 4, 1);
  putU32(wire, start + 6, 0);
  putU16(wire, start + 10, udpSizeBytes === undefined ? 0 : 1);
  const end = putQuestion(wire, start + HEADER_BYTES, fields);
  if (udpSizeBytes === undefined) return end;
  if (options === undefined) return putEmptyOpt(wire, end, udpSizeBytes, RCODE.NOERROR, dnssecOk);
  const fixed = { rcode: RCODE.NOERROR, extended: undefined };
  return putOpt(wire, end, { ...fixed, udpSizeBytes, dnssecOk, options });
}

function putQuestion(wire: Buffer, start: number, question: QuestionFields): number {
  const { name } = question;
  // For so few bytes the call of a copy function costs more than the copy.
  for (let i = 0; i < name.length; i++) wire[start + i] = name[i] as number;
  const at = start + name.length;
  putU16(wire, at, question.type);
  putU16(wire, at + 2, question.class);
  return at + 4;
}

/** A record to synthesise. `name` undefined means the question's own name, written as a pointer to it. */
export interface NewRecord {
  readonly name?: Uint8Array;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array;
}

/** A response to synthesise. Only the lower four bits of `rcode` are sent, because the message has no OPT. */
export interface NewResponse {
  readonly rcode: number;
  /** FLAG bits to set besides QR, such as AA. */
  readonly flags: number;
  readonly answer?: readonly NewRecord[];
  readonly authority?: readonly NewRecord[];
  readonly additional?: readonly NewRecord[];
}

/**
 * A response without OPT to `question`; records get the question's class. ID 0: `respond` sets the client's. Throws
 * RangeError if the message would exceed 65,535 bytes.
 */
export function buildResponse(question: QuestionFields, response: NewResponse): Buffer {
  const { answer = [], authority = [], additional = [] } = response;
  const records = [...answer, ...authority, ...additional];
  const bodyBytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
  const bytes = HEADER_BYTES + question.name.length + 4 + bodyBytes;
  if (bytes > MAX_FRAME_BYTES) throw new RangeError(`message of ${bytes} bytes`);
  const wire = Buffer.allocUnsafeSlow(bytes);
  const counts = [1, answer.length, authority.length, additional.length] as const;
  putHeader(wire, 0, FLAG.QR | response.flags | (response.rcode & 0xf), counts);
  let at = putQuestion(wire, HEADER_BYTES, question);
  for (const record of records) at = putRecord(wire, at, record, question.class);
  return wire;
}

function recordBytes(record: NewRecord): number {
  return (record.name?.length ?? 2) + 10 + record.rdata.length;
}

function putRecord(wire: Buffer, offset: number, record: NewRecord, qclass: number): number {
  let at = offset;
  if (record.name === undefined) {
    putU16(wire, at, 0xc000 | HEADER_BYTES);
    at += 2;
  } else {
    wire.set(record.name, at);
    at += record.name.length;
  }
  putU16(wire, at, record.type);
  putU16(wire, at + 2, qclass);
  putU32(wire, at + 4, record.ttlSeconds);
  putU16(wire, at + 8, record.rdata.length);
  wire.set(record.rdata, at + 10);
  return at + 10 + record.rdata.length;
}

/** RDATA of character-strings, each at most 255 bytes of UTF-8 (RFC 1035 §3.3). Throws RangeError if one is longer. */
export function characterStrings(texts: readonly string[]): Uint8Array {
  const strings = texts.map((text) => Buffer.from(text, 'utf8'));
  if (strings.some(({ length }) => length > 255)) throw new RangeError('string over 255 bytes');
  return Uint8Array.from(strings.flatMap((bytes) => [bytes.length, ...bytes]));
}
