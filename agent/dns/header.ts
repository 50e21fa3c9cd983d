/** The 12-byte header of every message (RFC 1035 §4.1.1; AD and CD: RFC 4035 §3). */

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

export const OPCODE_MASK = 0x7800;
export const RCODE_MASK = 0x000f;

export function u16(wire: Uint8Array, offset: number): number {
  return ((wire[offset] as number) << 8) | (wire[offset + 1] as number);
}

export function u32(wire: Uint8Array, offset: number): number {
  return (u16(wire, offset) * 0x10000 + u16(wire, offset + 2)) >>> 0;
}

export function putU16(wire: Uint8Array, offset: number, value: number): void {
  wire[offset] = (value >>> 8) & 0xff;
  wire[offset + 1] = value & 0xff;
}

export function putU32(wire: Uint8Array, offset: number, value: number): void {
  wire[offset] = value >>> 24;
  wire[offset + 1] = (value >>> 16) & 0xff;
  wire[offset + 2] = (value >>> 8) & 0xff;
  wire[offset + 3] = value & 0xff;
}

export const idOf = (wire: Uint8Array): number => u16(wire, 0);
export const flagsOf = (wire: Uint8Array): number => u16(wire, 2);
export const opcodeOf = (flags: number): number => (flags & OPCODE_MASK) >>> 11;
export const qdcountOf = (wire: Uint8Array): number => u16(wire, 4);
export const ancountOf = (wire: Uint8Array): number => u16(wire, 6);
export const nscountOf = (wire: Uint8Array): number => u16(wire, 8);
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
