/**
 * RDATA in presentation format, for `query` and `cache`. Types with nothing but names are read by our own code, because
 * dns-packet does not escape odd labels; it reads the other types it knows. The rest is printed as RFC 3597 says.
 */
import { type Answer, decode } from 'dns-packet';
import { TYPE, typeName } from '../../dns/iana.ts';
import { nameToText, readName, skipName } from '../../dns/name.ts';
import type { RecordView, Section } from '../../dns/records.ts';
import { recordFromText } from '../../dns/text/record.ts';
import { svcbText } from './svcb-text.ts';

type Decoded = Readonly<Record<Section, readonly Answer[]>>;

/** Five numbers after the names of an SOA (RFC 1035 §3.3.13). */
const SOA_NUMBERS_BYTES = 20;

/** Numbers of 16 bits, and names after them, of each type whose RDATA has nothing else. */
const NAMES: Readonly<Record<number, { readonly numbers: number; readonly names: number }>> = {
  [TYPE.NS]: { numbers: 0, names: 1 },
  [TYPE.CNAME]: { numbers: 0, names: 1 },
  [TYPE.PTR]: { numbers: 0, names: 1 },
  [TYPE.DNAME]: { numbers: 0, names: 1 },
  [TYPE.MX]: { numbers: 1, names: 1 },
  [TYPE.SRV]: { numbers: 3, names: 1 },
  [TYPE.RP]: { numbers: 0, names: 2 },
};

/** Reads the records of one message. */
export class RdataReader {
  readonly #wire: Buffer;
  readonly #decoded: Decoded | undefined;

  constructor(wire: Buffer) {
    this.#wire = wire;
    this.#decoded = decodedOf(wire);
  }

  /** RDATA of the record at `index` of its section. */
  text(record: RecordView, index: number): string {
    const { type, rdataStart, rdataEnd, section } = record;
    const rdata = this.#wire.subarray(rdataStart, rdataEnd);
    const layout = NAMES[type];
    return (
      (layout === undefined ? undefined : namesText(this.#wire, record, layout)) ??
      (type === TYPE.SOA ? soaText(this.#wire, record) : undefined) ??
      (type === TYPE.SVCB || type === TYPE.HTTPS ? svcbText(rdata) : undefined) ??
      verified(type, decodedText(this.#decoded?.[section][index]), rdata) ??
      genericText(rdata)
    );
  }
}

/** dns-packet throws for what it cannot read. */
function decodedOf(wire: Buffer): Decoded | undefined {
  try {
    const { answers = [], authorities = [], additionals = [] } = decode(wire);
    return { answer: answers, authority: authorities, additional: additionals };
  } catch {
    return undefined;
  }
}

function namesText(
  wire: Buffer,
  { rdataStart, rdataEnd }: RecordView,
  { numbers, names }: { readonly numbers: number; readonly names: number },
): string | undefined {
  const words: string[] = [];
  if (rdataStart + 2 * numbers > rdataEnd) return undefined;
  let at = rdataStart;
  for (let i = 0; i < numbers; i++, at += 2) words.push(String(wire.readUInt16BE(at)));
  for (let i = 0; i < names; i++) {
    const name = at < 0 ? undefined : readName(wire, at, rdataEnd);
    if (name === undefined) return undefined;
    words.push(nameToText(name));
    at = skipName(wire, at, rdataEnd);
  }
  return at === rdataEnd ? words.join(' ') : undefined;
}

function soaText(wire: Buffer, record: RecordView): string | undefined {
  const { rdataEnd } = record;
  const fixedAt = rdataEnd - SOA_NUMBERS_BYTES;
  const names = namesText(wire, { ...record, rdataEnd: fixedAt }, { numbers: 0, names: 2 });
  if (names === undefined) return undefined;
  return [names, ...[0, 4, 8, 12, 16].map((at) => wire.readUInt32BE(fixedAt + at))].join(' ');
}

/** `text` if it means these bytes: dns-packet loses some of odd values, such as bytes that are no UTF-8. */
function verified(type: number, text: string | undefined, rdata: Buffer): string | undefined {
  if (text === undefined) return undefined;
  try {
    return rdata.equals(recordFromText(`. 0 IN ${typeName(type)} ${text}`).rdata)
      ? text
      : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined for a type that is printed as RFC 3597 says. */
function decodedText(answer: Answer | undefined): string | undefined {
  if (answer?.type === 'A' || answer?.type === 'AAAA') return answer.data;
  if (answer?.type === 'TXT') return [answer.data].flat().map(quoted).join(' ');
  if (answer?.type === 'HINFO') return `${quoted(answer.data.cpu)} ${quoted(answer.data.os)}`;
  if (answer?.type === 'CAA') {
    const { flags = 0, tag, value } = answer.data;
    // RFC 8659 §4.1. Other bytes of an upstream could control the terminal.
    if (!/^[a-z0-9]+$/i.test(tag)) return undefined;
    return `${flags} ${tag} ${quoted(value)}`;
  }
  if (answer?.type === 'DS') {
    const { keyTag, algorithm, digestType, digest } = answer.data;
    return `${keyTag} ${algorithm} ${digestType} ${digest.toString('hex').toUpperCase()}`;
  }
  if (answer?.type === 'DNSKEY') {
    const { flags, algorithm, key } = answer.data;
    return `${flags} 3 ${algorithm} ${key.toString('base64')}`;
  }
  if (answer?.type === 'TLSA') {
    const { usage, selector, matchingType, certificate } = answer.data;
    return `${usage} ${selector} ${matchingType} ${certificate.toString('hex').toUpperCase()}`;
  }
  return undefined;
}

/** A character-string, with `"`, `\` and bytes that are not printable escaped (RFC 1035 §5.1). */
function quoted(text: string | Buffer): string {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  const escaped = Array.from(bytes, (byte) => {
    const char = String.fromCharCode(byte);
    if (byte < 0x20 || byte > 0x7e) return `\\${String(byte).padStart(3, '0')}`;
    return char === '"' || char === '\\' ? `\\${char}` : char;
  });
  return `"${escaped.join('')}"`;
}

/** RFC 3597 §5. */
function genericText(rdata: Buffer): string {
  return rdata.length === 0 ? '\\# 0' : `\\# ${rdata.length} ${rdata.toString('hex')}`;
}
