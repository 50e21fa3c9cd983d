/** Addresses and SRV targets in a message, for programs that find servers by DNS (RFC 1035, RFC 3596, RFC 2782). */
import { formatAddress } from '../../base/address.ts';
import { u16 } from '../header.ts';
import { CLASS, TYPE } from '../iana.ts';
import { lowerName, nameToText, readName } from '../name.ts';
import type { RecordView, Section } from '../records.ts';

/** Names are in presentation format, lower case, without the trailing dot. */
export interface HostRecord {
  readonly section: Section;
  readonly name: string;
  readonly ttlSeconds: number;
  readonly data: { readonly address: string } | { readonly target: string; readonly port: number };
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [TYPE.A, 4],
  [TYPE.AAAA, 16],
]);
/** Priority, weight, port, and a name of one byte. */
const MIN_SRV_BYTES = 7;
const SRV_PORT_AT = 4;
const SRV_TARGET_AT = 6;
/** RFC 2181 §8: a TTL has 31 bits. */
const MAX_TTL = 0x7fff_ffff;

/** The A, AAAA and SRV records of class IN; undefined if a name in one of them is malformed. */
export function readHostRecords(
  wire: Uint8Array,
  records: readonly RecordView[],
): HostRecord[] | undefined {
  const read = records.filter(isHostRecord).map((record) => {
    const name = nameAt(wire, record.start);
    const data = dataOf(wire, record);
    if (name === undefined || data === undefined) return undefined;
    return { section: record.section, name, ttlSeconds: record.ttlSeconds & MAX_TTL, data };
  });
  return read.every((record) => record !== undefined) ? read : undefined;
}

/** The addresses of `name` in `records`, such as of an SRV target. */
export function addressesOf(records: readonly HostRecord[], name: string): string[] {
  return records.flatMap((record) =>
    record.name === name && 'address' in record.data ? [record.data.address] : [],
  );
}

function isHostRecord({ type, class: qclass, rdataStart, rdataEnd }: RecordView): boolean {
  if (qclass !== CLASS.IN) return false;
  const bytes = rdataEnd - rdataStart;
  return type === TYPE.SRV ? bytes >= MIN_SRV_BYTES : bytes === ADDRESS_BYTES.get(type);
}

function dataOf(
  wire: Uint8Array,
  { type, rdataStart, rdataEnd }: RecordView,
): HostRecord['data'] | undefined {
  if (type !== TYPE.SRV) return { address: formatAddress(wire.subarray(rdataStart, rdataEnd)) };
  const target = nameAt(wire, rdataStart + SRV_TARGET_AT);
  return target === undefined ? undefined : { target, port: u16(wire, rdataStart + SRV_PORT_AT) };
}

function nameAt(wire: Uint8Array, offset: number): string | undefined {
  const name = readName(wire, offset, wire.length);
  return name && nameToText(lowerName(name)).replace(/\.$/, '');
}
