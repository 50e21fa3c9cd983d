/**
 * Shapes of RDATA: the fields of a type, and where names are in them. A type without a shape is opaque (RFC 3597 §3):
 * its bytes are neither checked nor changed.
 */
import { u16 } from './header.ts';
import { CLASS, TYPE } from './iana.ts';
import { skipName } from './name.ts';

/**
 * One field:
 * - a number: so many bytes;
 * - `name`: a domain name that may be compressed (RFC 3597 §4);
 * - `plain`: a domain name of a type newer than RFC 3597, where a pointer is an error;
 * - `text`: one character-string, `texts`: one or more (RFC 1035 §3.3);
 * - `params`: the parameters of a service binding (RFC 9460 §2.2);
 * - `some`: the remaining bytes, at least one; `rest`: the remaining bytes, possibly none.
 */
export type Part = number | 'name' | 'plain' | 'text' | 'texts' | 'params' | 'some' | 'rest';

/** The RDATA of one type: its fields in the order of the wire. */
export interface Shape {
  readonly parts: readonly Part[];
  /** Whether its names may be sent compressed: types of RFC 1035 only (RFC 3597 §4). */
  readonly compresses: boolean;
  /** Whether the type has this shape only in class IN (A). */
  readonly onlyIn: boolean;
  /** Whether there is a name among the parts. */
  readonly hasName: boolean;
  /** Bytes of RDATA if the type has a fixed length, else -1. */
  readonly fixedBytes: number;
}

/** Whether a field is a domain name, compressible or not. */
export function isName(part: Part): boolean {
  return part === 'name' || part === 'plain';
}

function shape(parts: readonly Part[], compresses: boolean, onlyIn: boolean): Shape {
  const [first] = parts;
  const fixedBytes = parts.length === 1 && typeof first === 'number' ? first : -1;
  return { parts, compresses, onlyIn, hasName: parts.some(isName), fixedBytes };
}

const OLD = (...parts: Part[]): Shape => shape(parts, true, false);
const ANY_CLASS = (...parts: Part[]): Shape => shape(parts, false, false);
const INTERNET = (...parts: Part[]): Shape => shape(parts, false, true);

const DIGEST = ANY_CLASS(2, 1, 1, 'some');
const KEY = ANY_CLASS(2, 1, 1, 'rest');
const SIGNATURE = ANY_CLASS(18, 'name', 'some');
const TEXTS = ANY_CLASS('texts');
const SERVICE = INTERNET(2, 'plain', 'params');

/**
 * By RFC, as BIND, Knot and miekg/dns parse them. NULL, APL, HIP, IPSECKEY, AMTRELAY, TSIG and TKEY are opaque: no
 * resolver acts on their content.
 */
const SHAPES: readonly (readonly [number, Shape])[] = [
  [TYPE.A, INTERNET(4)],
  [TYPE.NS, OLD('name')],
  [TYPE.MD, OLD('name')],
  [TYPE.MF, OLD('name')],
  [TYPE.CNAME, OLD('name')],
  [TYPE.SOA, OLD('name', 'name', 20)],
  [TYPE.MB, OLD('name')],
  [TYPE.MG, OLD('name')],
  [TYPE.MR, OLD('name')],
  [11, INTERNET(5, 'rest')], // WKS
  [TYPE.PTR, OLD('name')],
  [TYPE.HINFO, ANY_CLASS('text', 'text')],
  [TYPE.MINFO, OLD('name', 'name')],
  [TYPE.MX, OLD(2, 'name')],
  [TYPE.TXT, TEXTS],
  [TYPE.RP, ANY_CLASS('name', 'name')],
  [TYPE.AFSDB, ANY_CLASS(2, 'name')],
  [19, ANY_CLASS('text')], // X25
  [20, TEXTS], // ISDN: an address, perhaps a subaddress
  [21, ANY_CLASS(2, 'name')], // RT
  [TYPE['NSAP-PTR'], ANY_CLASS('name')],
  [TYPE.SIG, SIGNATURE],
  [TYPE.KEY, KEY],
  [26, INTERNET(2, 'name', 'name')], // PX
  [27, ANY_CLASS('text', 'text', 'text')], // GPOS
  [TYPE.AAAA, INTERNET(16)],
  [TYPE.LOC, ANY_CLASS(16)],
  [30, ANY_CLASS('name', 'rest')], // NXT
  [TYPE.SRV, INTERNET(6, 'name')],
  [TYPE.NAPTR, INTERNET(4, 'text', 'text', 'text', 'name')],
  [TYPE.KX, INTERNET(2, 'name')],
  [TYPE.CERT, ANY_CLASS(5, 'some')],
  [TYPE.DNAME, ANY_CLASS('name')],
  [TYPE.DS, DIGEST],
  [TYPE.SSHFP, ANY_CLASS(2, 'some')],
  [TYPE.RRSIG, SIGNATURE],
  [TYPE.NSEC, ANY_CLASS('name', 'rest')],
  [TYPE.DNSKEY, KEY],
  [TYPE.DHCID, INTERNET('some')],
  [TYPE.NSEC3, ANY_CLASS(4, 'text', 'text', 'rest')],
  [TYPE.NSEC3PARAM, ANY_CLASS(4, 'text')],
  [TYPE.TLSA, ANY_CLASS(3, 'some')],
  [TYPE.SMIMEA, ANY_CLASS(3, 'some')],
  [TYPE.CDS, DIGEST],
  [TYPE.CDNSKEY, KEY],
  [TYPE.OPENPGPKEY, ANY_CLASS('some')],
  [TYPE.CSYNC, ANY_CLASS(6, 'rest')],
  [TYPE.ZONEMD, ANY_CLASS(6, 'some')],
  [TYPE.SVCB, SERVICE],
  [TYPE.HTTPS, SERVICE],
  [TYPE.SPF, TEXTS],
  [104, ANY_CLASS(10)], // NID
  [105, ANY_CLASS(6)], // L32
  [106, ANY_CLASS(10)], // L64
  [107, ANY_CLASS(2, 'plain')], // LP
  [TYPE.EUI48, ANY_CLASS(6)],
  [TYPE.EUI64, ANY_CLASS(8)],
  [TYPE.URI, ANY_CLASS(4, 'some')],
  [TYPE.CAA, ANY_CLASS(1, 'text', 'rest')],
];

const BY_TYPE: readonly (Shape | undefined)[] = Array.from(
  { length: 258 },
  (_, type) => SHAPES.find(([known]) => known === type)?.[1],
);

/** The shape of a record's RDATA; undefined if it is opaque. */
export function shapeOf(type: number, qclass: number): Shape | undefined {
  const found = type < BY_TYPE.length ? BY_TYPE[type] : undefined;
  return found?.onlyIn === true && qclass !== CLASS.IN ? undefined : found;
}

/** Offset after the field at `at`, or -1 if it does not end at or before `end`. Pointers in names are not followed. */
export function partEnd(wire: Uint8Array, at: number, end: number, part: Part): number {
  let next: number;
  if (typeof part === 'number') next = at + part;
  else if (part === 'name') next = skipName(wire, at, end);
  else if (part === 'plain') next = plainNameEnd(wire, at, end);
  else if (part === 'text') next = at < end ? at + 1 + (wire[at] as number) : -1;
  else if (part === 'texts') next = textsEnd(wire, at, end);
  else if (part === 'params') next = paramsEnd(wire, at, end);
  else next = part === 'some' && at === end ? -1 : end;
  return next <= end ? next : -1;
}

/** Offset after a name that ends in the root, not in a pointer. */
function plainNameEnd(wire: Uint8Array, at: number, end: number): number {
  const next = skipName(wire, at, end);
  let label = at;
  while (label < next && (wire[label] as number) !== 0) {
    if ((wire[label] as number) > 0x3f) return -1;
    label += (wire[label] as number) + 1;
  }
  return next;
}

function textsEnd(wire: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) at += 1 + (wire[at] as number);
  return at === end && end > start ? at : -1;
}

function paramsEnd(wire: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at + 4 <= end) at += 4 + u16(wire, at + 2);
  return at === end ? at : -1;
}
