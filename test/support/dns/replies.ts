/** Replies of upstreams, written as lines, and the messages made from them. */
import assert from 'node:assert/strict';
import { decode } from 'dns-packet';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { type Asked, acceptReply } from '../../../agent/dns/reply/accept.ts';
import type { Reply } from '../../../agent/dns/reply.ts';
import { type Piece, type WireRecord, writeMessage } from './wire-messages.ts';

export const NAME = 'www.example.org';

export function asking(name: string, type: number, dnssecOk = false): Asked {
  return { name: nameFromText(name), type, class: CLASS.IN, dnssecOk };
}

export function accepted(wire: Buffer, asked: Asked, randomizedName?: Uint8Array): Reply {
  const reply = acceptReply(wire, asked, randomizedName);
  assert.ok(typeof reply !== 'string', `refused as ${reply}`);
  assert.deepEqual(readRecords(reply.wire), reply.records);
  return reply;
}

export const labels = (name: string): string[] => (name === '.' ? [] : name.split('.'));
const target = (name: string): Piece => ({ name: labels(name), maybeCompressed: true });
export const bytes = (...list: number[]): Piece => ({ bytes: list });

/** A record in a line: `OWNER TYPE [TARGET]`; addresses differ by `last`. */
export function record(line: string, last = 1, section: 0 | 1 | 2 = 0): WireRecord {
  const [owner = '', type = '', data = ''] = line.split(' ');
  const number = TYPE[type as keyof typeof TYPE];
  const rdata: Readonly<Record<string, readonly Piece[]>> = {
    A: [bytes(192, 0, 2, last)],
    AAAA: [bytes(...new Array<number>(15).fill(0), last)],
    TXT: [bytes(1, last)],
    SRV: [bytes(0, 0, 0, 1, 0, 80), target(data)],
    MX: [bytes(0, 10), target(data)],
    SOA: [target(`ns.${data}`), target(`root.${data}`), bytes(...new Array<number>(20).fill(0))],
    RRSIG: [bytes(...new Array<number>(18).fill(0)), target('.'), bytes(last)],
    NSEC: [target('.')],
    NSEC3: [bytes(1, 0, 0, 0, 0, 0)],
    DS: [bytes(0, 1, 8, 2, last)],
    DNSKEY: [bytes(1, 0, 3, 8, last)],
  };
  const pieces = rdata[type] ?? [target(data)];
  return { section, owner: labels(owner), type: number, class: 1, ttl: 60, rdata: pieces };
}

export interface Made {
  readonly name?: string;
  readonly type?: keyof typeof TYPE;
  readonly answer?: readonly string[];
  readonly authority?: readonly string[];
  readonly additional?: readonly string[];
  readonly rcode?: number;
  /** Whether names are compressed. */
  readonly compressed?: boolean;
}

export function made({
  name = NAME,
  type = 'A',
  compressed = false,
  rcode = 0,
  ...sections
}: Made) {
  const { answer = [], authority = [], additional = [] } = sections;
  const records = [answer, authority, additional].flatMap((lines, section) =>
    lines.map((line, i) => record(line, i + 1, section as 0 | 1 | 2)),
  );
  const wire = writeMessage({ question: labels(name), type: TYPE[type], records }, [compressed]);
  wire[3] = (wire[3] as number) | rcode;
  return { wire, asked: asking(name.toLowerCase(), TYPE[type]) };
}

/** Owner and type of the kept records of each section. */
export function kept(reply: Reply): string[] {
  const { answers = [], authorities = [], additionals = [] } = decode(reply.wire);
  return [answers, authorities, additionals].map((section) =>
    section.map(({ name, type }) => `${name} ${type}`).join(', '),
  );
}
