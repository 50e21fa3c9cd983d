/** The few words of DNS (RFC 1035, RFC 2782) that finding endpoints needs: a query, and the records of its answer. */
import { formatAddress } from '../../agent/base/address.ts';

export const TYPES = { A: 1, AAAA: 28, SRV: 33 } as const;
export type RecordType = keyof typeof TYPES;

/** A record of the answer or the additional section. Names are lower-case, without a trailing dot. */
export interface DnsRecord {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly data: { readonly address: string } | { readonly target: string; readonly port: number };
}

export interface Reply {
  readonly rcode: number;
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

const HEADER_BYTES = 12;
const MAX_NAME_BYTES = 255;
const CLASS_IN = 1;

/** A query for `name` IN `type`, recursion desired. Throws RangeError where `name` is not the name of a host. */
export function queryFor(id: number, name: string, type: RecordType): Uint8Array {
  if (!isHostName(name)) throw new RangeError(`not the name of a host: ${name}`);
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const header = [id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...header, ...labels, 0, 0, TYPES[type], 0, CLASS_IN]);
}

/** Letters, digits, hyphens and underscores in labels of 1–63, 253 characters at most, no trailing dot. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^[\w-]{1,63}(\.[\w-]{1,63})*$/.test(text);
}

/** What answers `query`, undefined where `message` is no whole answer to it. */
export function replyTo(query: Uint8Array, message: Uint8Array): Reply | undefined {
  if (message.length < query.length) return undefined;
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  const isAnswer = bytes.readUInt16BE(0) === (((query[0] as number) << 8) | (query[1] as number));
  const [flags, counts] = [
    bytes.readUInt16BE(2),
    [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at)),
  ];
  const isWhole = (flags & 0xfa00) === 0x8000;
  const asked = bytes.subarray(HEADER_BYTES, query.length).toString('latin1').toLowerCase();
  const isOurs =
    asked === Buffer.from(query.subarray(HEADER_BYTES)).toString('latin1').toLowerCase();
  if (!isAnswer || !isWhole || counts[0] !== 1 || !isOurs) return undefined;
  const reader = new Reader(bytes, query.length);
  try {
    const [answers, , additionals] = counts.slice(1).map((count) => reader.records(count));
    return { rcode: flags & 0x0f, answers: answers ?? [], additionals: additionals ?? [] };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Reads on from `at`; throws RangeError at the end of the message, as Buffer does, and on a broken name. */
class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** The next `count` records, without those of types that nobody asks for. */
  records(count: number): DnsRecord[] {
    return Array.from({ length: count }, () => this.#record()).filter((r) => r !== undefined);
  }

  #record(): DnsRecord | undefined {
    const name = this.#name();
    const fixed = this.#at;
    const type = this.#bytes.readUInt16BE(fixed);
    const ttlSeconds = this.#bytes.readUInt32BE(fixed + 4) & 0x7fff_ffff;
    const start = fixed + 10;
    const end = start + this.#bytes.readUInt16BE(fixed + 8);
    if (end > this.#bytes.length) throw new RangeError('record beyond the end');
    const isIn = this.#bytes.readUInt16BE(fixed + 2) === CLASS_IN;
    const data = isIn ? this.#data(type, start, end) : undefined;
    this.#at = end;
    return data && { name, ttlSeconds, data };
  }

  #data(type: number, start: number, end: number): DnsRecord['data'] | undefined {
    const isAddress =
      (type === TYPES.A && end - start === 4) || (type === TYPES.AAAA && end - start === 16);
    if (isAddress) return { address: formatAddress(this.#bytes.subarray(start, end)) };
    if (type !== TYPES.SRV || end - start < 7) return undefined;
    this.#at = start + 6;
    return { port: this.#bytes.readUInt16BE(start + 4), target: this.#name() };
  }

  /** The name at the place where we are, which is then behind it. Pointers only lead back, so that each name ends. */
  #name(): string {
    const labels: string[] = [];
    let total = 1;
    let at = this.#at;
    let limit = at;
    let behind: number | undefined;
    for (;;) {
      const length = this.#bytes.readUInt8(at);
      if (length === 0) break;
      if (length >= 0xc0) {
        const target = this.#bytes.readUInt16BE(at) & 0x3fff;
        if (target >= limit) throw new RangeError('pointer forwards');
        behind ??= at + 2;
        at = limit = target;
        continue;
      }
      total += 1 + length;
      if (length > 63 || total > MAX_NAME_BYTES) throw new RangeError('name too long');
      const label = this.#bytes.subarray(at + 1, at + 1 + length);
      if (label.length < length) throw new RangeError('label beyond the end');
      labels.push(label.toString('latin1').toLowerCase());
      at += 1 + length;
    }
    this.#at = behind ?? at + 1;
    return labels.join('.');
  }
}
