/** EDNS(0) OPT records (RFC 6891) and the extended errors in them (RFC 8914). */
import type { ExtendedError } from '../base/errors.ts';
import { putU16, u16 } from './header.ts';
import { EDNS_OPTION, TYPE } from './iana.ts';

/** Bytes of an OPT without options. */
export const OPT_BYTES = 11;
/** Longest EXTRA-TEXT to send, bytes: it is for people, not a payload. */
const MAX_EDE_TEXT_BYTES = 128;

/** Fields of an OPT to write. */
export interface OptFields {
  readonly udpSizeBytes: number;
  /** The whole rcode; its upper 8 bits go into the OPT (RFC 6891 §6.1.3). */
  readonly rcode: number;
  readonly dnssecOk: boolean;
  readonly extended: ExtendedError | undefined;
  /** More options, as on the wire. */
  readonly options?: Uint8Array | undefined;
}

/** Bytes that `putOpt` will write. */
export function optBytes(extended: ExtendedError | undefined, options?: Uint8Array): number {
  const bytes = OPT_BYTES + (options === undefined ? 0 : options.length);
  return extended === undefined ? bytes : bytes + 6 + extraText(extended.text).length;
}

/** At least `optBytes`, without reading the text. */
export function maxOptBytes(extended: ExtendedError | undefined, options?: Uint8Array): number {
  const bytes = OPT_BYTES + (options === undefined ? 0 : options.length);
  return extended === undefined ? bytes : bytes + 6 + MAX_EDE_TEXT_BYTES;
}

/** The text that was encoded last: in a flood all refusals have the same. */
let latest: { readonly text: string; readonly bytes: Buffer } = {
  text: '',
  bytes: Buffer.alloc(0),
};

/** EXTRA-TEXT in UTF-8 (RFC 8914 §2), cut between characters if it is too long. Not to be changed. */
function extraText(text: string): Buffer {
  if (text !== latest.text) latest = { text, bytes: encoded(text) };
  return latest.bytes;
}

function encoded(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= MAX_EDE_TEXT_BYTES) return bytes;
  let end = MAX_EDE_TEXT_BYTES;
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** Writes an OPT, version 0, without options at `offset`; returns the offset after it. Most are like that. */
export function putEmptyOpt(
  wire: Buffer,
  offset: number,
  udpSizeBytes: number,
  rcode: number,
  dnssecOk: boolean,
): number {
  wire[offset] = 0;
  putU16(wire, offset + 1, TYPE.OPT);
  putU16(wire, offset + 3, udpSizeBytes);
  wire[offset + 5] = rcode >>> 4;
  wire[offset + 6] = 0;
  wire[offset + 7] = dnssecOk ? 0x80 : 0;
  wire[offset + 8] = 0;
  putU16(wire, offset + 9, 0);
  return offset + OPT_BYTES;
}

/** Writes an OPT, version 0, at `offset`; returns the offset after it. */
export function putOpt(wire: Buffer, offset: number, fields: OptFields): number {
  const rdataStart = putEmptyOpt(wire, offset, fields.udpSizeBytes, fields.rcode, fields.dnssecOk);
  let rdataEnd = putExtendedError(wire, rdataStart, fields.extended);
  if (fields.options !== undefined) {
    wire.set(fields.options, rdataEnd);
    rdataEnd += fields.options.length;
  }
  putU16(wire, offset + 9, rdataEnd - offset - OPT_BYTES);
  return rdataEnd;
}

function putExtendedError(wire: Buffer, at: number, extended: ExtendedError | undefined): number {
  if (extended === undefined) return at;
  const text = extraText(extended.text);
  putU16(wire, at, EDNS_OPTION.EDE);
  putU16(wire, at + 2, 2 + text.length);
  putU16(wire, at + 4, extended.code);
  text.copy(wire, at + 6);
  return at + 6 + text.length;
}

/** One option as on the wire (RFC 6891 §6.1.2). */
export function ednsOption(code: number, data: Uint8Array): Buffer {
  const option = Buffer.allocUnsafe(4 + data.length);
  putU16(option, 0, code);
  putU16(option, 2, data.length);
  option.set(data, 4);
  return option;
}

/**
 * The first option with `code` in an OPT's RDATA, as offsets of its data; undefined if there is none or the option list
 * is malformed.
 */
export function findOption(
  wire: Uint8Array,
  rdataStart: number,
  rdataEnd: number,
  code: number,
): { start: number; end: number } | undefined {
  for (let at = rdataStart; at + 4 <= rdataEnd; ) {
    const end = at + 4 + u16(wire, at + 2);
    if (end > rdataEnd) return undefined;
    if (u16(wire, at) === code) return { start: at + 4, end };
    at = end;
  }
  return undefined;
}

/** The extended error in an OPT's RDATA, if there is one. */
export function readExtendedError(
  wire: Buffer,
  rdataStart: number,
  rdataEnd: number,
): ExtendedError | undefined {
  const found = findOption(wire, rdataStart, rdataEnd, EDNS_OPTION.EDE);
  if (found === undefined || found.end - found.start < 2) return undefined;
  return { code: u16(wire, found.start), text: wire.toString('utf8', found.start + 2, found.end) };
}
