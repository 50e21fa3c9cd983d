/**
 * Domain names on the wire (RFC 1035 §3.1, §4.1.4) and in presentation format (§5.1). Labels are bytes, not text:
 * comparison ignores the case of ASCII letters only (RFC 4343).
 */

/** Maximum of a name in wire form, with the lengths of its labels and the root (RFC 1035 §2.3.4). */
export const MAX_NAME_BYTES = 255;
/** Maximum of a label without its length (RFC 1035 §2.3.4). */
export const MAX_LABEL_BYTES = 63;
const POINTER = 0xc0;
/** Maximum pointers in one name: one before each label of the longest name. More only cost time. */
const MAX_POINTERS = 127;
const ROOT = Uint8Array.of(0);

/** Upper-case ASCII letters to lower case, every other byte (lengths of labels included) unchanged. */
const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
);

/** The byte of the lower-case letter for an upper-case ASCII letter; any other byte unchanged. */
export function lowerByte(byte: number): number {
  return LOWER[byte] as number;
}

/**
 * Offset after the name that starts at `offset`, without following pointers; -1 if it exceeds `end` or contains a
 * reserved label type.
 */
export function skipName(wire: Uint8Array, offset: number, end: number): number {
  let at = offset;
  while (at < end) {
    const length = wire[at] as number;
    if (length === 0) return at + 1;
    if (length >= POINTER) return at + 2 <= end ? at + 2 : -1;
    if (length > MAX_LABEL_BYTES) return -1;
    at += length + 1;
    if (at - offset >= MAX_NAME_BYTES) return -1;
  }
  return -1;
}

/**
 * Copies the name at `offset`, following pointers, uncompressed into `out`; returns its length, or -1 if it is
 * malformed. A pointer must point before the label run that it ends, so the walk always terminates (RFC 1035 §4.1.4).
 * The number of pointers is limited to that of a name's labels, so that chains of pointers do not make the walk long.
 */
export function expandName(wire: Uint8Array, offset: number, end: number, out: Uint8Array): number {
  let at = offset;
  let runStart = offset;
  let length = 0;
  let pointers = 0;
  while (at < end) {
    const byte = wire[at] as number;
    if (byte >= POINTER) {
      if (at + 2 > end) return -1;
      const target = ((byte & 0x3f) << 8) | (wire[at + 1] as number);
      if (target >= runStart || ++pointers > MAX_POINTERS) return -1;
      at = target;
      runStart = target;
      continue;
    }
    if (byte > MAX_LABEL_BYTES || length + byte + 1 > MAX_NAME_BYTES) return -1;
    if (at + byte + 1 > end) return -1;
    for (let i = 0; i <= byte; i++) out[length + i] = wire[at + i] as number;
    length += byte + 1;
    if (byte === 0) return length;
    at += byte + 1;
  }
  return -1;
}

const scratch = new Uint8Array(MAX_NAME_BYTES);

/** The name at `offset` as a copy, with pointers followed; undefined if it is malformed. */
export function readName(wire: Uint8Array, offset: number, end: number): Uint8Array | undefined {
  const length = expandName(wire, offset, end, scratch);
  return length < 0 ? undefined : scratch.slice(0, length);
}

/** Whether two uncompressed wire names are equal, ignoring letter case. */
export function sameName(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (LOWER[a[i] as number] !== LOWER[b[i] as number]) return false;
  }
  return true;
}

/** Whether uncompressed `name` is `zone` or below it, ignoring letter case. */
export function isSubdomain(name: Uint8Array, zone: Uint8Array): boolean {
  let at = 0;
  while (name.length - at > zone.length) at += (name[at] as number) + 1;
  if (name.length - at !== zone.length) return false;
  // Compared in place: a view of the rest would cost each miss 100 bytes.
  for (let i = 0; i < zone.length; i++) {
    if (LOWER[name[at + i] as number] !== LOWER[zone[i] as number]) return false;
  }
  return true;
}

/** A lower-cased copy of an uncompressed wire name. */
export function lowerName(name: Uint8Array): Uint8Array {
  return name.map(lowerByte);
}

const keyScratch = Buffer.alloc(MAX_NAME_BYTES);

/** An uncompressed wire name as a string of one character per byte: a key for maps. */
export function byteKey(name: Uint8Array): string {
  keyScratch.set(name);
  return keyScratch.latin1Slice(0, name.length);
}

/** Number of labels without the root: 0 for `.`, 2 for `example.org.`. */
export function labelCount(name: Uint8Array): number {
  let count = 0;
  for (let at = 0; (name[at] ?? 0) !== 0; at += (name[at] as number) + 1) count++;
  return count;
}

/**
 * Wire form of a name in presentation format; the trailing dot may be missing. `\.` and `\DDD` escapes as in RFC 1035
 * §5.1. Throws RangeError on an empty label, a label over 63 bytes or a name over 255.
 */
export function nameFromText(text: string): Uint8Array {
  if (text === '.' || text === '') return ROOT.slice();
  const bytes: number[] = [];
  let label: number[] = [];
  const closeLabel = (): void => {
    if (label.length === 0) throw new RangeError(`empty label in name "${text}"`);
    if (label.length > MAX_LABEL_BYTES) throw new RangeError(`label over 63 bytes in "${text}"`);
    bytes.push(label.length, ...label);
    label = [];
  };
  const source = Buffer.from(text, 'utf8');
  for (let i = 0; i < source.length; i++) {
    const byte = source[i] as number;
    if (byte === 0x2e) closeLabel();
    else if (byte === 0x5c) i += pushEscape(source, i, label, text);
    else label.push(byte);
  }
  if (label.length > 0) closeLabel();
  bytes.push(0);
  if (bytes.length > MAX_NAME_BYTES) throw new RangeError(`name over 255 bytes: "${text}"`);
  return Uint8Array.from(bytes);
}

/** Decodes the escape at `at` into `label`; returns its length without the backslash. */
function pushEscape(source: Uint8Array, at: number, label: number[], text: string): number {
  const digits = Buffer.from(source.subarray(at + 1, at + 4)).toString('latin1');
  if (/^\d{3}$/.test(digits)) {
    if (Number(digits) > 255) throw new RangeError(`escape \\${digits} over 255 in "${text}"`);
    label.push(Number(digits));
    return 3;
  }
  const next = source[at + 1];
  if (next === undefined) throw new RangeError(`name ends in a backslash: "${text}"`);
  label.push(next);
  return 1;
}

const SPECIAL = new Set(Array.from('."();@$\\', (char) => char.charCodeAt(0)));

/** Presentation format of an uncompressed wire name, with the trailing dot (RFC 1035 §5.1, RFC 4343 §2.1). */
export function nameToText(name: Uint8Array): string {
  if ((name[0] ?? 0) === 0) return '.';
  return plainText(name) ?? escapedText(name);
}

/** Bytes that need no escape. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte > 0x20 && byte < 0x7f && !SPECIAL.has(byte) ? 1 : 0,
);
const DOT = 0x2e;
const textBytes = Buffer.alloc(MAX_NAME_BYTES);

/** Text of a name without bytes to escape, else undefined. */
function plainText(name: Uint8Array): string | undefined {
  let at = 0;
  for (let length = name[0] ?? 0; length !== 0; length = name[at] ?? 0) {
    const end = at + length;
    for (; at < end; at++) {
      const byte = name[at + 1] ?? 0;
      if (PLAIN[byte] === 0) return undefined;
      textBytes[at] = byte;
    }
    textBytes[at++] = DOT;
  }
  return textBytes.latin1Slice(0, at);
}

function escapedText(name: Uint8Array): string {
  let text = '';
  for (let at = 0; (name[at] ?? 0) !== 0; at += (name[at] as number) + 1) {
    const end = at + (name[at] as number);
    for (let i = at + 1; i <= end; i++) text += byteText(name[i] as number);
    text += '.';
  }
  return text;
}

function byteText(byte: number): string {
  if (SPECIAL.has(byte)) return `\\${String.fromCharCode(byte)}`;
  if (byte > 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\${String(byte).padStart(3, '0')}`;
}
