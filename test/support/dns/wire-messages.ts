/**
 * Responses of any shape, written by the test's own compressor, which chooses at random which names become pointers,
 * and read by the test's own reader: neither uses the code under test.
 */
import fc from 'fast-check';

/** Parts of RDATA. */
export type Piece =
  | { readonly name: readonly string[]; readonly maybeCompressed: boolean }
  | { readonly bytes: readonly number[] };

export interface WireRecord {
  readonly section: 0 | 1 | 2;
  readonly owner: readonly string[];
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly rdata: readonly Piece[];
}

export interface WireMessage {
  readonly question: readonly string[];
  readonly type: number;
  readonly records: readonly WireRecord[];
}

/** Writes `message`; each `true` of `choices` in turn lets a name become a pointer where it can. */
export function writeMessage(message: WireMessage, choices: readonly boolean[] = []): Buffer {
  const bytes: number[] = [];
  const places = new Map<string, number>();
  let choice = 0;
  const u16 = (value: number): void => void bytes.push(value >> 8, value & 0xff);
  const name = (labels: readonly string[], mayCompress: boolean): void => {
    const compresses = mayCompress && (choices[choice++ % Math.max(1, choices.length)] ?? false);
    for (const [i, label] of labels.entries()) {
      const rest = labels.slice(i).join('\0');
      const place = places.get(rest);
      if (compresses && place !== undefined) {
        u16(0xc000 | place);
        return;
      }
      if (place === undefined && bytes.length <= 0x3fff) places.set(rest, bytes.length);
      bytes.push(label.length, ...Buffer.from(label, 'latin1'));
    }
    bytes.push(0);
  };
  const counts = [0, 1, 2].map((s) => message.records.filter((r) => r.section === s).length);
  u16(0x1234);
  u16(0x8180);
  for (const count of [1, ...counts]) u16(count);
  name(message.question, false);
  u16(message.type);
  u16(1);
  for (const record of [...message.records].sort((a, b) => a.section - b.section)) {
    name(record.owner, true);
    u16(record.type);
    u16(record.class);
    u16(record.ttl >>> 16);
    u16(record.ttl & 0xffff);
    const lengthAt = bytes.length;
    u16(0);
    for (const piece of record.rdata) {
      if ('bytes' in piece) bytes.push(...piece.bytes);
      else name(piece.name, piece.maybeCompressed);
    }
    const length = bytes.length - lengthAt - 2;
    bytes[lengthAt] = length >> 8;
    bytes[lengthAt + 1] = length & 0xff;
  }
  return Buffer.from(bytes);
}

/** Bytes before each name, and how many names, in the RDATA of types that may arrive compressed (RFC 3597 §4). */
const NAMES_IN: Readonly<Record<number, readonly [before: number, names: number]>> = {
  ...Object.fromEntries([2, 3, 4, 5, 7, 8, 9, 12, 39].map((type) => [type, [0, 1]])),
  ...Object.fromEntries([6, 14, 17].map((type) => [type, [0, 2]])),
  ...Object.fromEntries([15, 18, 21, 36].map((type) => [type, [2, 1]])),
  26: [2, 2],
  24: [18, 1],
  33: [6, 1],
  46: [18, 1],
  47: [0, 1],
};

/** A message with every name written out: question, and per record owner, type, class, TTL and RDATA in hex. */
export function expanded(wire: Buffer): readonly string[] {
  let at = 12;
  const name = (): string => {
    const labels: string[] = [];
    let end = -1;
    for (let hops = 0; ; ) {
      const length = wire.readUInt8(at);
      if (length >= 0xc0) {
        if (end < 0) end = at + 2;
        at = wire.readUInt16BE(at) & 0x3fff;
        if (++hops > 200) throw new Error('a loop of pointers');
      } else {
        labels.push(wire.toString('latin1', at, at + length + 1));
        at += length + 1;
        if (length === 0) break;
      }
    }
    if (end >= 0) at = end;
    return Buffer.from(labels.join(''), 'latin1').toString('hex');
  };
  const take = (count: number): string => {
    at += count;
    return wire.toString('hex', at - count, at);
  };
  const lines = [`${name()} ${take(4)}`];
  for (const [section, countAt] of [6, 8, 10].entries()) {
    for (let left = wire.readUInt16BE(countAt); left > 0; left--) {
      const owner = name();
      const type = wire.readUInt16BE(at);
      const fixed = take(8);
      const end = at + 2 + wire.readUInt16BE(at);
      at += 2;
      const [before, names] = NAMES_IN[type] ?? [0, 0];
      let rdata = take(names > 0 ? before : 0);
      for (let i = 0; i < names; i++) rdata += name();
      if (at > end) throw new Error('RDATA runs over its end');
      rdata += take(end - at);
      lines.push(`${section} ${owner} ${fixed} ${rdata}`);
    }
  }
  return lines;
}

const label = fc.constantFrom('a', 'A', 'ns', 'www', 'WwW', 'b'.repeat(20), 'x.y', '\xff\0');
const ZONES = [[], ['org'], ['example', 'org'], ['Example', 'org'], ['svc', 'cluster', 'local']];
/** Few labels below few zones, so that names share suffixes, and some differ in letter case. */
export const labels: fc.Arbitrary<readonly string[]> = fc
  .tuple(fc.array(label, { maxLength: 3 }), fc.constantFrom(...ZONES))
  .map(([own, zone]) => [...own, ...zone]);

const bytes = (min: number, max = min): fc.Arbitrary<Piece> =>
  fc.array(fc.nat(255), { minLength: min, maxLength: max }).map((list): Piece => ({ bytes: list }));
const old: fc.Arbitrary<Piece> = labels.map((name): Piece => ({ name, maybeCompressed: true }));
const text: fc.Arbitrary<Piece> = fc
  .array(fc.nat(255), { maxLength: 30 })
  .map((list): Piece => ({ bytes: [list.length, ...list] }));
const plain: fc.Arbitrary<Piece> = labels.map((name): Piece => ({ name, maybeCompressed: false }));

const RDATA: readonly (readonly [type: number, ...pieces: fc.Arbitrary<Piece>[]])[] = [
  [1, bytes(4)],
  [28, bytes(16)],
  ...[2, 3, 4, 5, 7, 8, 9, 12, 39].map((type): [number, fc.Arbitrary<Piece>] => [type, old]),
  [6, old, old, bytes(20)],
  [14, old, old],
  [15, bytes(2), old],
  [16, text, text],
  [17, old, old],
  [33, bytes(6), old],
  [46, bytes(18), old, bytes(1, 40)],
  [47, old, bytes(0, 9)],
  [65, bytes(2), plain],
  [65_400, bytes(0, 40)],
];

const record: fc.Arbitrary<WireRecord> = fc.constantFrom(...RDATA).chain(([type, ...pieces]) =>
  fc.record({
    section: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
    owner: labels,
    type: fc.constant(type),
    class: fc.constant(1),
    ttl: fc.nat(0x7fffffff),
    rdata: fc.tuple(...pieces),
  }),
);

export const wireMessage: fc.Arbitrary<WireMessage> = fc.record({
  question: labels,
  type: fc.constantFrom(1, 5, 28, 255),
  records: fc.array(record, { maxLength: 12 }),
});

export const choices = fc.array(fc.boolean(), { maxLength: 12 });
