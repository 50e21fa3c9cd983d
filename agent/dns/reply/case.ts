/**
 * Removes a question's random letter case (draft-vixie-dnsext-dns0x20) from the reply. A server repeats the letter case
 * wherever it copies from the question: in owners, in parts of other names, and in the alias that a DNAME creates.
 */
import { HEADER_BYTES } from '../header.ts';
import { lowerByte, MAX_LABEL_BYTES } from '../name.ts';
import { isName, partEnd, shapeOf } from '../rdata.ts';
import type { RecordView } from '../records.ts';

/**
 * Changes `wire`, whose question has the case of `randomizedName`. The question gets `name` (lower-case wire form)
 * back, as does every owner with the same name. Elsewhere each label with the same case as in the question becomes
 * lower case: a label that matches by chance loses only its case.
 */
export function restoreCase(
  wire: Buffer,
  records: readonly RecordView[],
  name: Uint8Array,
  randomizedName: Uint8Array,
): void {
  wire.set(name, HEADER_BYTES);
  const capitals = capitalLabels(Buffer.from(randomizedName));
  for (const record of records) {
    if (isWhole(wire, record.start, name)) wire.set(name, record.start);
    else restoreLabels(wire, record.start, record.rdataStart, capitals);
    restoreRdata(wire, record, capitals);
  }
}

function isWhole(wire: Buffer, start: number, name: Uint8Array): boolean {
  if (start + name.length > wire.length) return false;
  for (let i = 0; i < name.length; i++) {
    if (lowerByte(wire[start + i] as number) !== name[i]) return false;
  }
  return true;
}

function restoreRdata(wire: Buffer, record: RecordView, capitals: ReadonlySet<string>): void {
  const { rdataStart, rdataEnd } = record;
  const shape = shapeOf(record.type, record.class);
  let at = rdataStart;
  for (const part of shape?.parts ?? []) {
    const end = partEnd(wire, at, rdataEnd, part);
    // A malformed reply: other checks reject it.
    if (end < 0) return;
    if (isName(part)) restoreLabels(wire, at, end, capitals);
    at = end;
  }
}

/** Restores the labels written at `start`; the target of a pointer is restored separately. */
function restoreLabels(
  wire: Buffer,
  start: number,
  end: number,
  capitals: ReadonlySet<string>,
): void {
  let at = start;
  while (at < end) {
    const length = wire[at] as number;
    if (length === 0 || length > MAX_LABEL_BYTES || at + length >= end) return;
    const next = at + length + 1;
    if (capitals.has(wire.latin1Slice(at, next))) {
      for (let i = at; i < next; i++) wire[i] = lowerByte(wire[i] as number);
    }
    at = next;
  }
}

/** The labels of an uncompressed name with capital letters, each with its length, one character per byte. */
function capitalLabels(name: Buffer): ReadonlySet<string> {
  const labels = new Set<string>();
  for (let at = 0; name[at] !== 0; ) {
    const end = at + (name[at] as number) + 1;
    if (name.subarray(at, end).some((byte) => byte !== lowerByte(byte)))
      labels.add(name.latin1Slice(at, end));
    at = end;
  }
  return labels;
}
