/** The 12-byte header of every message (RFC 1035 §4.1.1; AD and CD: RFC 4035 §3). */

/** Length of the header, so also the offset of the question. */
export const HEADER_BYTES = 12;

/** Bits of the 16-bit flags word at offset 2. */
export const FLAG = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
} as const;

/** Bits of OPCODE in the flags word. */
export const OPCODE_MASK = 0x7800;
/** Bits of RCODE in the flags word. An OPT contains eight more (RFC 6891 §6.1.3). */
export const RCODE_MASK = 0x000f;

/** Unsigned 16 bits in network order. `offset` is not checked. */
export function u16(wire: Uint8Array, offset: number): number {
  return ((wire[offset] as number) << 8) | (wire[offset + 1] as number);
}

/** Unsigned 32 bits in network order. `offset` is not checked. */
export function u32(wire: Uint8Array, offset: number): number {
  return (u16(wire, offset) * 0x10000 + u16(wire, offset + 2)) >>> 0;
}

/** Writes the lower 16 bits of `value` in network order. */
export function putU16(wire: Uint8Array, offset: number, value: number): void {
  wire[offset] = (value >>> 8) & 0xff;
  wire[offset + 1] = value & 0xff;
}

/** Writes the lower 32 bits of `value` in network order. */
export function putU32(wire: Uint8Array, offset: number, value: number): void {
  wire[offset] = value >>> 24;
  wire[offset + 1] = (value >>> 16) & 0xff;
  wire[offset + 2] = (value >>> 8) & 0xff;
  wire[offset + 3] = value & 0xff;
}

/** ID of a message. This and the following functions need a whole header in `wire`. */
export const idOf = (wire: Uint8Array): number => u16(wire, 0);
/** The flags word, which contains OPCODE and RCODE as well. */
export const flagsOf = (wire: Uint8Array): number => u16(wire, 2);
/** OPCODE of a flags word. */
export const opcodeOf = (flags: number): number => (flags & OPCODE_MASK) >>> 11;
/** QDCOUNT: questions, as the header claims. */
export const qdcountOf = (wire: Uint8Array): number => u16(wire, 4);
/** ANCOUNT: records in the answer section, as the header claims. */
export const ancountOf = (wire: Uint8Array): number => u16(wire, 6);
/** NSCOUNT: records in the authority section, as the header claims. */
export const nscountOf = (wire: Uint8Array): number => u16(wire, 8);
/** ARCOUNT: records in the additional section, the OPT included, as the header claims. */
export const arcountOf = (wire: Uint8Array): number => u16(wire, 10);

/** Writes a whole header. `flags` includes opcode and rcode. */
export function putHeader(
  wire: Uint8Array,
  id: number,
  flags: number,
  counts: readonly [qd: number, an: number, ns: number, ar: number],
): void {
  putU16(wire, 0, id);
  putU16(wire, 2, flags);
  for (let i = 0; i < 4; i++) putU16(wire, 4 + 2 * i, counts[i] as number);
}
