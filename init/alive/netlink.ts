/**
 * nf_tables messages as octets, as far as the alive table needs them: what `nft` makes for us it owns itself. Names and
 * numbers are those of linux/netfilter/nf_tables.h, without their prefixes.
 */
import { endianness } from 'node:os';
import { addressBytes, type Family } from '../../agent/base/address.ts';

const REQUEST = 0x1;
const ACK = 0x4;
const CREATE = 0x400;
const APPEND = 0x800;
const NESTED = 0x8000;
const HEADER_BYTES = 16;
const SUBSYS_NFTABLES = 10;
const PROTO_INET = 1;
const MSG = {
  BATCH_BEGIN: 0x10,
  BATCH_END: 0x11,
  NEWTABLE: SUBSYS_NFTABLES << 8,
  NEWCHAIN: (SUBSYS_NFTABLES << 8) | 3,
  NEWRULE: (SUBSYS_NFTABLES << 8) | 6,
} as const;

const TABLE = { NAME: 1, FLAGS: 2 } as const;
/** It goes with the socket that made it (Linux 5.12). */
const TABLE_F_OWNER = 0x2;
const CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
const HOOK = { HOOKNUM: 1, PRIORITY: 2 } as const;
const HOOKNUM = { prerouting: 0, output: 3 } as const;
const ACCEPT = 1;
const RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4, USERDATA: 7 } as const;
/** As nft keeps a rule's comment. */
const UDATA_COMMENT = 0;
const LIST_ELEM = 1;
const EXPR = { NAME: 1, DATA: 2 } as const;
const DATA_VALUE = 1;
const REG_1 = 1;
const PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
/** Where in a packet: `BASE` is 1 for the network header, 2 for that of the transport. */
interface Field {
  readonly base: number;
  readonly offset: number;
  readonly bytes: number;
}
const DESTINATION_PORT: Field = { base: 2, offset: 2, bytes: 2 };
const DESTINATION: Readonly<Record<Family, Field>> = {
  4: { base: 1, offset: 16, bytes: 4 },
  6: { base: 1, offset: 24, bytes: 16 },
};
/** AF_INET, AF_INET6. */
const PROTO: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
const CMP = { SREG: 1, OP: 2, DATA: 3 } as const;
const CMP_EQ = 0;
const META = { DREG: 1, KEY: 2, SREG: 3 } as const;
const META_MARK = 3;
const META_NFPROTO = 15;
const BITWISE = { SREG: 1, DREG: 2, LEN: 3, MASK: 4, XOR: 5 } as const;
const MARK_BYTES = 4;

/** Of type filter, policy accept. */
export interface BaseChain {
  readonly name: string;
  readonly hook: keyof typeof HOOKNUM;
  readonly priority: number;
}

/** A message but for the flags, which depend on its place in the batch. */
export type Message = (flags: number) => Buffer;

/** One transaction. Its last message is acknowledged; any that fails is reported. */
export function batchOf(messages: readonly Message[]): Buffer {
  const last = messages.length - 1;
  const bound = { family: 0, resource: SUBSYS_NFTABLES };
  return Buffer.concat([
    message(MSG.BATCH_BEGIN, REQUEST, [], bound),
    ...messages.map((make, i) => make(i === last ? REQUEST | ACK : REQUEST)),
    message(MSG.BATCH_END, REQUEST, [], bound),
  ]);
}

/** A table of family inet that the sending socket owns. */
export function newOwnedTable(name: string): Message {
  const attributes = [text(TABLE.NAME, name), number(TABLE.FLAGS, TABLE_F_OWNER)];
  return (flags) => message(MSG.NEWTABLE, flags | CREATE, attributes);
}

export function newChain(table: string, { name, hook, priority }: BaseChain): Message {
  const where = [number(HOOK.HOOKNUM, HOOKNUM[hook]), number(HOOK.PRIORITY, priority)];
  const attributes = [
    text(CHAIN.TABLE, table),
    text(CHAIN.NAME, name),
    nested(CHAIN.HOOK, where),
    number(CHAIN.POLICY, ACCEPT),
    text(CHAIN.TYPE, 'filter'),
  ];
  return (flags) => message(MSG.NEWCHAIN, flags | CREATE, attributes);
}

export interface MarkRule {
  readonly chain: string;
  readonly family: Family;
  /** Destination, numeric. */
  readonly address: string;
  /** Destination port, of any protocol that has it where UDP has. */
  readonly port: number;
  /** Bits that are taken off, before `set` is put on. */
  readonly clear: number;
  readonly set: number;
  readonly comment: string;
}

/** Changes the mark of packets to one address and port. The port is asked for first: most packets have another. */
export function newMarkRule(table: string, rule: MarkRule): Message {
  const expressions = [
    ...isAt(DESTINATION_PORT, Buffer.from([rule.port >> 8, rule.port & 0xff])),
    expression('meta', [number(META.DREG, REG_1), number(META.KEY, META_NFPROTO)]),
    equals(Buffer.from([PROTO[rule.family]])),
    ...isAt(DESTINATION[rule.family], Buffer.from(addressBytes(rule.address))),
    expression('meta', [number(META.DREG, REG_1), number(META.KEY, META_MARK)]),
    expression('bitwise', [
      number(BITWISE.SREG, REG_1),
      number(BITWISE.DREG, REG_1),
      number(BITWISE.LEN, MARK_BYTES),
      value(BITWISE.MASK, host32(0xffff_ffff ^ rule.clear)),
      value(BITWISE.XOR, host32(rule.set)),
    ]),
    expression('meta', [number(META.KEY, META_MARK), number(META.SREG, REG_1)]),
  ];
  const attributes = [
    text(RULE.TABLE, table),
    text(RULE.CHAIN, rule.chain),
    nested(RULE.EXPRESSIONS, expressions),
    attribute(RULE.USERDATA, commentData(rule.comment)),
  ];
  return (flags) => message(MSG.NEWRULE, flags | CREATE | APPEND, attributes);
}

function isAt({ base, offset, bytes }: Field, content: Buffer): Buffer[] {
  const load = expression('payload', [
    number(PAYLOAD.DREG, REG_1),
    number(PAYLOAD.BASE, base),
    number(PAYLOAD.OFFSET, offset),
    number(PAYLOAD.LEN, bytes),
  ]);
  return [load, equals(content)];
}

function equals(content: Buffer): Buffer {
  return expression('cmp', [
    number(CMP.SREG, REG_1),
    number(CMP.OP, CMP_EQ),
    value(CMP.DATA, content),
  ]);
}

function message(
  type: number,
  flags: number,
  attributes: readonly Buffer[],
  { family, resource } = { family: PROTO_INET, resource: 0 },
): Buffer {
  const body = Buffer.concat([
    Buffer.from([family, 0, resource >> 8, resource & 0xff]),
    ...attributes,
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.set(host32(HEADER_BYTES + body.length), 0);
  header.set(host16(type), 4);
  header.set(host16(flags), 6);
  return Buffer.concat([header, body]);
}

function attribute(type: number, data: Buffer): Buffer {
  const padding = Buffer.alloc(-data.length & 3);
  return Buffer.concat([host16(4 + data.length), host16(type), data, padding]);
}

const nested = (type: number, attributes: readonly Buffer[]): Buffer =>
  attribute(type | NESTED, Buffer.concat(attributes));

const text = (type: number, content: string): Buffer =>
  attribute(type, Buffer.from(`${content}\0`));

function number(type: number, content: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeInt32BE(content);
  return attribute(type, data);
}

/** What an expression compares or computes with. */
const value = (type: number, data: Buffer): Buffer => nested(type, [attribute(DATA_VALUE, data)]);

const expression = (name: string, attributes: readonly Buffer[]): Buffer =>
  nested(LIST_ELEM, [text(EXPR.NAME, name), nested(EXPR.DATA, attributes)]);

function commentData(comment: string): Buffer {
  const characters = Buffer.from(`${comment}\0`);
  return Buffer.concat([Buffer.from([UDATA_COMMENT, characters.length]), characters]);
}

const isLittle = endianness() === 'LE';

function host32(content: number): Buffer {
  const data = Buffer.alloc(4);
  if (isLittle) data.writeUInt32LE(content >>> 0);
  else data.writeUInt32BE(content >>> 0);
  return data;
}

function host16(content: number): Buffer {
  const data = Buffer.alloc(2);
  if (isLittle) data.writeUInt16LE(content);
  else data.writeUInt16BE(content);
  return data;
}
