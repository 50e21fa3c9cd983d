/** Netlink messages as bytes: headers, attributes, and the filter that the addon applies (netlink(7)). */
import { endianness } from 'node:os';

/** Headers are in the machine's byte order; what nf_tables puts into attributes is in network order. */
const IS_LITTLE = endianness() === 'LE';
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** Of the type of an attribute: without the flags for nesting and byte order. */
const ATTRIBUTE_TYPE = 0x3fff;

/** Flags of a request (linux/netlink.h). */
export const FLAGS = {
  /** The kernel says when it has answered. */
  one: 0x1 | 0x4,
  /** All objects that there are. */
  dump: 0x1 | 0x300,
} as const;

/** One message: its type, the fixed header of its family, and what follows. */
export interface Message {
  readonly type: number;
  readonly body: Uint8Array;
}

/** A message that passes has this type and these bytes in it. No bytes: every message of the type. */
export interface FilterEntry {
  readonly type: number;
  readonly needle: Uint8Array;
  /** A message with these bytes does not pass, whatever else it has. */
  readonly excludes?: boolean;
}

/** `FILTER_EXCLUDES` of `native/netlink/filter.h`. */
const EXCLUDES = 0x8000;

/** A message of `type` with the fixed header of its family and these attributes; `sequence` names it in a batch. */
export function message(
  type: number,
  flags: number,
  header: Uint8Array,
  attributes: readonly Uint8Array[],
  sequence = 0,
): Uint8Array {
  const body = Buffer.concat([header, ...attributes]);
  const head = Buffer.alloc(HEADER_BYTES);
  const view = new DataView(head.buffer, head.byteOffset);
  view.setUint32(0, HEADER_BYTES + body.length, IS_LITTLE);
  view.setUint16(4, type, IS_LITTLE);
  view.setUint16(6, flags, IS_LITTLE);
  view.setUint32(8, sequence, IS_LITTLE);
  return Buffer.concat([head, body]);
}

/** An attribute with its padding. */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([bareAttribute(type, value), Buffer.alloc(-value.length & 3)]);
}

/** An attribute without its padding, as a needle: the kernel may put another attribute's bytes there. */
export function bareAttribute(type: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([attributeHead(type, value.length), value]);
}

/** The head of an attribute whose value has `length` bytes, as a needle's begin. */
export function attributeHead(type: number, length: number): Uint8Array {
  const head = Buffer.alloc(ATTRIBUTE_HEADER_BYTES);
  const view = new DataView(head.buffer, head.byteOffset);
  view.setUint16(0, ATTRIBUTE_HEADER_BYTES + length, IS_LITTLE);
  view.setUint16(2, type, IS_LITTLE);
  return head;
}

/** A string as attributes have it, with its final zero. */
export function zeroTerminated(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}

/** The string in an attribute, empty where there is none. */
export function textIn(value: Uint8Array | undefined): string {
  return value === undefined ? '' : Buffer.from(value).toString('utf8').replace(/\0.*$/s, '');
}

/** A number of 32 bits in network order, undefined where there is none. */
export function numberIn(value: Uint8Array | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : viewOf(value).getInt32(0);
}

/** A number of 64 bits in network order, 0 where there is none. */
export function longNumberIn(value: Uint8Array | undefined): number {
  return value === undefined || value.length < 8 ? 0 : Number(viewOf(value).getBigUint64(0));
}

/** A number of 32 bits in the machine's order. */
export function nativeNumberAt(bytes: Uint8Array, offset: number): number {
  return bytes.length < offset + 4 ? 0 : viewOf(bytes).getUint32(offset, IS_LITTLE);
}

/** The messages in what the addon returned. A length that cannot be ends them. */
export function messagesIn(bytes: Uint8Array): Message[] {
  const messages: Message[] = [];
  for (const [at, length] of partsOf(bytes, HEADER_BYTES, (from) => nativeNumberAt(bytes, from)))
    messages.push({
      type: viewOf(bytes).getUint16(at + 4, IS_LITTLE),
      body: bytes.subarray(at + HEADER_BYTES, at + length),
    });
  return messages;
}

/** Attributes by their type; of several with one type the last. */
export function attributesIn(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = viewOf(bytes);
  return new Map(
    attributePlaces(bytes).map(([at, length]) => [
      view.getUint16(at + 2, IS_LITTLE) & ATTRIBUTE_TYPE,
      bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length),
    ]),
  );
}

/** The values of a list, whose attributes are all of one type. */
export function valuesIn(bytes: Uint8Array | undefined): Uint8Array[] {
  if (bytes === undefined) return [];
  return attributePlaces(bytes).map(([at, length]) =>
    bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length),
  );
}

function attributePlaces(bytes: Uint8Array): [at: number, length: number][] {
  const view = viewOf(bytes);
  const lengthAt = (from: number): number => view.getUint16(from, IS_LITTLE);
  return [...partsOf(bytes, ATTRIBUTE_HEADER_BYTES, lengthAt)];
}

/** A filter in the form of `native/netlink/filter.h`. */
export function filterBytes(entries: readonly FilterEntry[]): Uint8Array {
  return Buffer.concat(
    entries.map(({ type, needle, excludes = false }) => {
      const bytes = Buffer.alloc(4 + needle.length + (-needle.length & 3));
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      view.setUint16(0, type, IS_LITTLE);
      view.setUint16(2, needle.length | (excludes ? EXCLUDES : 0), IS_LITTLE);
      bytes.set(needle, 4);
      return bytes;
    }),
  );
}

/** Begin and length of each part; parts begin at multiples of four. */
function* partsOf(
  bytes: Uint8Array,
  least: number,
  lengthAt: (from: number) => number,
): Generator<[at: number, length: number]> {
  for (let at = 0; bytes.length - at >= least; ) {
    const length = lengthAt(at);
    if (length < least || length > bytes.length - at) return;
    yield [at, length];
    at += (length + 3) & ~3;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
