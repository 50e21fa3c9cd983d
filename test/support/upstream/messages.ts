/** Replies of fake upstreams, built from the query. */
import { buildResponse } from '../../../agent/dns/build.ts';
import { FLAG, flagsOf, idOf, putU16 } from '../../../agent/dns/header.ts';
import { TYPE } from '../../../agent/dns/iana.ts';
import { QueryHead, readQueryHead } from '../../../agent/dns/query-head.ts';

export interface SeenQuery {
  readonly message: Buffer;
  readonly head: QueryHead;
}

/** Reads a query that an upstream received. Throws where it is no query. */
export function seenQuery(message: Buffer): SeenQuery {
  const head = new QueryHead();
  const copy = Buffer.from(message);
  if (readQueryHead(copy, copy.length, head) !== 0) throw new Error('upstream got no valid query');
  return { message: copy, head };
}

export interface ReplyFields {
  readonly rcode?: number;
  /** Bytes of one A record's address; none: no record. */
  readonly address?: readonly [number, number, number, number];
  readonly truncated?: boolean;
  readonly idOffset?: number;
  /** Name in the question, wire form, in place of the one asked. */
  readonly name?: Uint8Array;
  /** Type in the question in place of the one asked. */
  readonly type?: number;
}

/** A reply to `query`. */
export function replyTo({ message, head }: SeenQuery, fields: ReplyFields = {}): Buffer {
  const { rcode = 0, address, truncated = false, idOffset = 0, type = head.type } = fields;
  const { name = head.name.slice(0, head.nameLength) } = fields;
  const answer = address && [{ type: TYPE.A, ttlSeconds: 60, rdata: Uint8Array.from(address) }];
  const flags = FLAG.RA | (flagsOf(message) & FLAG.RD) | (truncated ? FLAG.TC : 0);
  const wire = buildResponse(
    { name, type, class: head.class },
    answer === undefined ? { rcode, flags } : { rcode, flags, answer },
  );
  putU16(wire, 0, (idOf(message) + idOffset) & 0xffff);
  return wire;
}

/** An error without a question: 12 bytes, or 23 with an OPT, which BADVERS and its like need. */
export function bareReplyTo({ message }: SeenQuery, rcode: number, hasOpt: boolean): Buffer {
  const header = Buffer.alloc(12);
  putU16(header, 0, idOf(message));
  putU16(header, 2, FLAG.QR | FLAG.RA | (rcode & 0xf));
  if (!hasOpt) return header;
  putU16(header, 10, 1);
  const opt = Buffer.from('00002904d0000000000000', 'hex');
  opt[5] = rcode >> 4;
  return Buffer.concat([header, opt]);
}
