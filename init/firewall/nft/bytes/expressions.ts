/** Expressions of a rule as nf_tables takes them (linux/netfilter/nf_tables.h, as `nft --debug=netlink` prints them). */
import { endianness } from 'node:os';
import { attribute, zeroTerminated } from '../../../netlink/message.ts';

const LIST_ELEMENT = 1;
const NAME = 1;
const DATA = 2;
const VALUE = 1;
const VERDICT = 2;
const VERDICT_CODE = 1;
const ACCEPT = 1;

/** The register that a single value is in; parts of a key follow it, each of four bytes, from `FIRST_PART` on. */
export const REGISTER = 1;
const FIRST_PART = 8;
const IS_LITTLE = endianness() === 'LE';

/** What comparisons do. */
export const COMPARE = { equal: 0, different: 1, atMost: 3, atLeast: 5 } as const;
/** Keys of `meta`, `ct` and `socket`. */
export const META = { mark: 3, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
export const CT = {
  state: 0,
  direction: 1,
  mark: 3,
  zone: 17,
  destination: { 4: 20, 6: 22 },
} as const;
export const SOCKET = { transparent: 0, wildcard: 2 } as const;
/** Headers of a packet. */
export const HEADER = { network: 1, transport: 2 } as const;
/** What `dynset` does. */
export const DYNSET = { update: 1, delete: 2 } as const;

/** A number of 32 bits in network order, as attributes have them. */
export function big32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A number of 64 bits in network order. */
export function big64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** A value of the kernel's own, in the machine's order. */
export function native(value: number, size: 1 | 2 | 4): Uint8Array {
  const bytes = Buffer.alloc(size);
  if (IS_LITTLE) bytes.writeUIntLE(value >>> 0, 0, size);
  else bytes.writeUIntBE(value >>> 0, 0, size);
  return bytes;
}

/** A port as packets have it. */
export function port(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function expression(name: string, ...attributes: readonly Uint8Array[]): Uint8Array {
  return nested(LIST_ELEMENT, attribute(NAME, zeroTerminated(name)), nested(DATA, ...attributes));
}

/** An attribute that holds others. */
export function nested(type: number, ...attributes: readonly Uint8Array[]): Uint8Array {
  const IS_NESTED = 0x8000;
  return attribute(type | IS_NESTED, Buffer.concat(attributes));
}

const number = (type: number, value: number): Uint8Array => attribute(type, big32(value));
const value = (type: number, bytes: Uint8Array): Uint8Array =>
  nested(type, attribute(VALUE, bytes));

/** Register of the part of a key that begins at this byte. */
export function registerAt(offset: number): number {
  return offset === 0 ? REGISTER : FIRST_PART + offset / 4;
}

export const metaLoad = (key: number): Uint8Array =>
  expression('meta', number(2, key), number(1, REGISTER));
export const metaSet = (key: number): Uint8Array =>
  expression('meta', number(2, key), number(3, REGISTER));

/** Bytes of a header of the packet. */
export interface Place {
  readonly header: number;
  readonly offset: number;
  readonly bytes: number;
}

export const load = ({ header, offset, bytes }: Place, register = REGISTER): Uint8Array =>
  expression(
    'payload',
    number(1, register),
    number(2, header),
    number(3, offset),
    number(4, bytes),
  );

/** Writes an address; IPv4's header has a checksum of its own at byte 10, and that of UDP and TCP changes in both. */
export const write = ({ header, offset, bytes }: Place): Uint8Array =>
  expression(
    'payload',
    ...[number(5, REGISTER), number(2, header), number(3, offset), number(4, bytes)],
    ...[number(6, bytes === 4 ? 1 : 0), number(7, bytes === 4 ? 10 : 0), number(8, 1)],
  );

export const compare = (operation: number, bytes: Uint8Array): Uint8Array =>
  expression('cmp', number(1, REGISTER), number(2, operation), value(3, bytes));

/** The register masked, then with these bits changed. */
export const bitwise = (mask: Uint8Array, xor: Uint8Array): Uint8Array =>
  expression(
    'bitwise',
    ...[number(1, REGISTER), number(2, REGISTER), number(3, mask.length), number(6, 0)],
    ...[value(4, mask), value(5, xor)],
  );

/** `id` names a set of the same transaction. */
export const lookup = (set: string, id: number): Uint8Array =>
  expression('lookup', ...[number(2, REGISTER), attribute(1, zeroTerminated(set)), number(4, id)]);

export const socket = (key: number): Uint8Array =>
  expression('socket', number(1, key), number(2, REGISTER));

export const ctLoad = (key: number, direction?: number): Uint8Array =>
  expression('ct', number(2, key), number(1, REGISTER), ...directed(direction));
export const ctSet = (key: number, direction?: number): Uint8Array =>
  expression('ct', number(2, key), ...directed(direction), number(4, REGISTER));

function directed(direction: number | undefined): Uint8Array[] {
  return direction === undefined ? [] : [attribute(3, Uint8Array.of(direction))];
}

export const immediate = (bytes: Uint8Array): Uint8Array =>
  expression('immediate', number(1, REGISTER), value(2, bytes));

export const dynset = (
  operation: number,
  set: string,
  id: number,
  timeoutMs: number | undefined,
): Uint8Array =>
  expression(
    'dynset',
    ...[number(4, REGISTER), number(3, operation)],
    ...(timeoutMs === undefined ? [] : [attribute(6, big64(timeoutMs))]),
    ...[attribute(1, zeroTerminated(set)), number(2, id)],
  );

export const counter = (): Uint8Array =>
  expression('counter', attribute(1, big64(0)), attribute(2, big64(0)));
export const notrack = (): Uint8Array => expression('notrack');
export const masquerade = (): Uint8Array => expression('masq');
export const accept = (): Uint8Array =>
  expression('immediate', number(1, 0), nested(2, nested(VERDICT, number(VERDICT_CODE, ACCEPT))));
