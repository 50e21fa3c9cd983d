/** A DNS message as `dig` prints it. */
import { FLAG, flagsOf, HEADER_BYTES, idOf, opcodeOf, qdcountOf, u16 } from '../../dns/header.ts';
import {
  className,
  EDNS_OPTION,
  OPCODE,
  RCODE,
  rcodeName,
  TYPE,
  typeName,
} from '../../dns/iana.ts';
import { nameToText, readName, skipName } from '../../dns/name.ts';
import { type RecordView, readRecords, type Section } from '../../dns/records.ts';
import { RdataReader } from './rdata.ts';

/** One record of a message as text. */
export interface RecordText {
  readonly section: Section;
  readonly name: string;
  readonly ttlSeconds: number;
  readonly class: string;
  readonly type: string;
  readonly rdata: string;
}

/** A message as text, without its OPT, whose content is in the other fields. */
export interface MessageText {
  readonly id: number;
  readonly opcode: string;
  readonly rcode: string;
  /** `qr`, `rd`, … */
  readonly flags: readonly string[];
  readonly question: string | undefined;
  readonly records: readonly RecordText[];
  readonly edns: { readonly udpSizeBytes: number; readonly dnssecOk: boolean } | undefined;
  readonly extendedErrors: readonly string[];
}

const FLAG_NAMES: readonly (readonly [keyof typeof FLAG, string])[] = [
  ['QR', 'qr'],
  ['AA', 'aa'],
  ['TC', 'tc'],
  ['RD', 'rd'],
  ['RA', 'ra'],
  ['AD', 'ad'],
  ['CD', 'cd'],
];
const OPCODE_NAMES = new Map<number, string>(Object.entries(OPCODE).map(([name, n]) => [n, name]));
const DNSSEC_OK = 0x8000;

/** Reads a response. Throws RangeError if it is malformed. */
export function readMessage(wire: Buffer): MessageText {
  const views = readRecords(wire);
  if (views === undefined) throw new RangeError(`a malformed message of ${wire.length} bytes`);
  const flags = flagsOf(wire);
  const opt = views.find(({ type }) => type === TYPE.OPT);
  const high = opt === undefined ? 0 : (opt.ttlSeconds >>> 24) << 4;
  const isDo = opt !== undefined && (opt.ttlSeconds & DNSSEC_OK) !== 0;
  return {
    id: idOf(wire),
    opcode: OPCODE_NAMES.get(opcodeOf(flags)) ?? String(opcodeOf(flags)),
    rcode: rcodeName(high | (flags & 0xf)),
    flags: FLAG_NAMES.filter(([bit]) => (flags & FLAG[bit]) !== 0).map(([, name]) => name),
    question: questionText(wire),
    records: recordTexts(wire, views),
    edns: opt === undefined ? undefined : { udpSizeBytes: opt.class, dnssecOk: isDo },
    extendedErrors: opt === undefined ? [] : extendedErrors(wire, opt),
  };
}

function questionText(wire: Buffer): string | undefined {
  if (qdcountOf(wire) === 0) return undefined;
  const name = readName(wire, HEADER_BYTES, wire.length);
  const end = skipName(wire, HEADER_BYTES, wire.length);
  if (name === undefined || end < 0) return undefined;
  return `${nameToText(name)}\t\t${className(u16(wire, end + 2))}\t${typeName(u16(wire, end))}`;
}

function recordTexts(wire: Buffer, views: readonly RecordView[]): RecordText[] {
  const reader = new RdataReader(wire);
  const counts: Record<Section, number> = { answer: 0, authority: 0, additional: 0 };
  const records: RecordText[] = [];
  for (const view of views) {
    const index = counts[view.section]++;
    if (view.type === TYPE.OPT) continue;
    records.push({
      section: view.section,
      name: nameToText(readName(wire, view.start, wire.length) ?? new Uint8Array(1)),
      ttlSeconds: view.ttlSeconds,
      class: className(view.class),
      type: typeName(view.type),
      rdata: reader.text(view, index),
    });
  }
  return records;
}

/** `3 (Stale Answer)`-like texts: code and EXTRA-TEXT (RFC 8914 §2). */
function extendedErrors(wire: Buffer, { rdataStart, rdataEnd }: RecordView): string[] {
  const errors: string[] = [];
  for (let at = rdataStart; at + 4 <= rdataEnd; at += 4 + u16(wire, at + 2)) {
    const end = at + 4 + u16(wire, at + 2);
    if (u16(wire, at) !== EDNS_OPTION.EDE || end > rdataEnd || end < at + 6) continue;
    const text = wire.toString('utf8', at + 6, end);
    errors.push(`${u16(wire, at + 4)}${text === '' ? '' : `: ${printable(text)}`}`);
  }
  return errors;
}

/** Text of an upstream must not control the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

/** A record as a line of a zone file. */
export function recordLine({ name, ttlSeconds, class: qclass, type, rdata }: RecordText): string {
  return `${name}\t${ttlSeconds}\t${qclass}\t${type}\t${rdata}`;
}

/** The message in dig's layout, without the lines after it. */
export function digText(message: MessageText): string {
  const of = (section: Section): readonly RecordText[] =>
    message.records.filter((record) => record.section === section);
  const { edns } = message;
  const counts =
    `QUERY: ${message.question === undefined ? 0 : 1}, ANSWER: ${of('answer').length}, ` +
    `AUTHORITY: ${of('authority').length}, ADDITIONAL: ${of('additional').length + (edns ? 1 : 0)}`;
  const head = [
    `;; ->>HEADER<<- opcode: ${message.opcode}, status: ${message.rcode}, id: ${message.id}`,
    `;; flags: ${message.flags.join(' ')}; ${counts}`,
  ];
  const opt = [
    ...(edns === undefined
      ? []
      : [`; EDNS: version: 0, flags:${edns.dnssecOk ? ' do' : ''}; udp: ${edns.udpSizeBytes}`]),
    ...message.extendedErrors.map((text) => `; EDE: ${text}`),
  ];
  const sections = [
    ...(opt.length === 0 ? [] : [[';; OPT PSEUDOSECTION:', ...opt]]),
    ...(message.question === undefined ? [] : [[';; QUESTION SECTION:', `;${message.question}`]]),
    ...(['answer', 'authority', 'additional'] as const)
      .filter((section) => of(section).length > 0)
      .map((section) => [`;; ${section.toUpperCase()} SECTION:`, ...of(section).map(recordLine)]),
  ];
  return [head, ...sections].map((lines) => `${lines.join('\n')}\n`).join('\n');
}

/** Whether the rcode means that the question was answered. */
export function isAnswered(rcode: string): boolean {
  return rcode === rcodeName(RCODE.NOERROR) || rcode === rcodeName(RCODE.NXDOMAIN);
}
