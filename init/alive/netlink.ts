/**
 * nf_tables messages as octets (linux/netfilter/nf_tables.h), as far as the alive table needs them: `nft` would own what it
 * makes itself, and end with it.
 */
import { endianness } from 'node:os';

const NLMSG_HEADER_BYTES = 16;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;
const NLA_F_NESTED = 0x8000;
const NFPROTO_INET = 1;
const NFNL_SUBSYS_NFTABLES = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NEW_TABLE = (NFNL_SUBSYS_NFTABLES << 8) | 0;
const NEW_CHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 3;
const NEW_RULE = (NFNL_SUBSYS_NFTABLES << 8) | 6;
/** Flag of a table: it goes with the socket that made it (Linux 5.12). */
const TABLE_OWNER = 0x2;
const NF_ACCEPT = 1;
const REGISTER = 1;
const META_MARK = 3;
const TRANSPORT_HEADER = 2;
const DESTINATION_PORT_OFFSET = 2;
/** In a rule's user data, as nft writes its comments. */
const UDATA_COMMENT = 0;

/** Numbers of `enum nf_inet_hooks`. */
const HOOKS = { prerouting: 0, output: 3 } as const;

/** Of type filter, policy accept. */
export interface BaseChain {
  readonly name: string;
  readonly hook: keyof typeof HOOKS;
  readonly priority: number;
}

/** One transaction. Only its last message is acknowledged; any that fails is reported. */
export function batchOf(messages: readonly ((flags: number) => Buffer)[]): Buffer {
  const last = messages.length - 1;
  return Buffer.concat([
    message(BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, []),
    ...messages.map((make, i) => make(NLM_F_REQUEST | (i === last ? NLM_F_ACK : 0))),
    message(BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, []),
  ]);
}

/** A table of family inet that the sending socket owns. */
export function newOwnedTable(name: string): (flags: number) => Buffer {
  return (flags) =>
    message(NEW_TABLE, flags | NLM_F_CREATE, NFPROTO_INET, 0, [
      text(1, name),
      number(2, TABLE_OWNER),
    ]);
}

export function newChain(
  table: string,
  { name, hook, priority }: BaseChain,
): (flags: number) => Buffer {
  return (flags) =>
    message(NEW_CHAIN, flags | NLM_F_CREATE, NFPROTO_INET, 0, [
      text(1, table),
      text(3, name),
      nested(4, [number(1, HOOKS[hook]), number(2, priority)]),
      number(5, NF_ACCEPT),
      text(7, 'filter'),
    ]);
}

/** Sets a bit of the mark of packets with this destination port, of whichever protocol has ports where UDP has. */
export function newMarkRule(
  table: string,
  chain: string,
  { port, mark, comment }: { port: number; mark: number; comment: string },
): (flags: number) => Buffer {
  const portBytes = Buffer.alloc(2);
  portBytes.writeUInt16BE(port);
  return (flags) =>
    message(NEW_RULE, flags | NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET, 0, [
      text(1, table),
      text(2, chain),
      nested(4, [
        expression('payload', [
          number(1, REGISTER),
          number(2, TRANSPORT_HEADER),
          number(3, DESTINATION_PORT_OFFSET),
          number(4, portBytes.length),
        ]),
        expression('cmp', [number(1, REGISTER), number(2, 0), value(3, portBytes)]),
        expression('meta', [number(1, REGISTER), number(2, META_MARK)]),
        expression('bitwise', [
          number(1, REGISTER),
          number(2, REGISTER),
          number(3, 4),
          value(4, hostOrder(0xffff_ffff ^ mark)),
          value(5, hostOrder(mark)),
        ]),
        expression('meta', [number(2, META_MARK), number(3, REGISTER)]),
      ]),
      attribute(7, commentData(comment)),
    ]);
}

function message(
  type: number,
  flags: number,
  family: number,
  resource: number,
  attributes: readonly Buffer[],
): Buffer {
  const body = Buffer.concat(attributes);
  const header = Buffer.alloc(NLMSG_HEADER_BYTES + 4);
  header.set(hostOrder(header.length + body.length), 0);
  header.set(hostOrder16(type), 4);
  header.set(hostOrder16(flags), 6);
  header.writeUInt8(family, NLMSG_HEADER_BYTES);
  header.writeUInt16BE(resource, NLMSG_HEADER_BYTES + 2);
  return Buffer.concat([header, body]);
}

function attribute(type: number, data: Buffer): Buffer {
  const padded = Buffer.alloc(4 + ((data.length + 3) & ~3));
  padded.set(hostOrder16(4 + data.length), 0);
  padded.set(hostOrder16(type), 2);
  padded.set(data, 4);
  return padded;
}

const nested = (type: number, attributes: readonly Buffer[]): Buffer =>
  attribute(type | NLA_F_NESTED, Buffer.concat(attributes));

const text = (type: number, content: string): Buffer =>
  attribute(type, Buffer.from(`${content}\0`));

function number(type: number, content: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeInt32BE(content | 0);
  return attribute(type, data);
}

/** What an expression compares or computes with. */
const value = (type: number, data: Buffer): Buffer => nested(type, [attribute(1, data)]);

const expression = (name: string, attributes: readonly Buffer[]): Buffer =>
  nested(1, [text(1, name), nested(2, attributes)]);

function commentData(comment: string): Buffer {
  const characters = Buffer.from(`${comment}\0`);
  return Buffer.concat([Buffer.from([UDATA_COMMENT, characters.length]), characters]);
}

function hostOrder(content: number): Buffer {
  const data = Buffer.alloc(4);
  if (endianness() === 'LE') data.writeUInt32LE(content >>> 0);
  else data.writeUInt32BE(content >>> 0);
  return data;
}

function hostOrder16(content: number): Buffer {
  const data = Buffer.alloc(2);
  if (endianness() === 'LE') data.writeUInt16LE(content);
  else data.writeUInt16BE(content);
  return data;
}
