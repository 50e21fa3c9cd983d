/** Queries as a listener passes them on, and answers parsed by another implementation. */
import { strict as assert } from 'node:assert';
import { type DecodedPacket, decode } from 'dns-packet';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readQueryHead, VERDICT } from '../../../agent/dns/query-head.ts';
import { Answer } from '../../../agent/query/answer.ts';
import type { Handler, Result } from '../../../agent/query/handler.ts';
import type { Plugin } from '../../../agent/query/plugin.ts';
import { type Client, clientAt, Query, type Transport } from '../../../agent/query/query.ts';

export interface QueryOptions {
  readonly class?: number;
  readonly transport?: Transport;
  readonly client?: Client;
  /** Undefined: no OPT. */
  readonly udpSizeBytes?: number;
  readonly dnssecOk?: boolean;
}

export const CLIENT: Client = clientAt('10.244.0.7', 40_053);

/** `TYPE` by name or number; the name keeps its letter case in the message. */
export function queryFor(
  name: string,
  type: keyof typeof TYPE | number,
  o: QueryOptions = {},
): Query {
  const query = new Query();
  const wire = buildQuery({
    name: nameFromText(name),
    type: typeof type === 'number' ? type : TYPE[type],
    class: o.class ?? CLASS.IN,
    id: 4_711,
    flags: FLAG.RD,
    dnssecOk: o.dnssecOk ?? false,
    udpSizeBytes: o.udpSizeBytes,
  });
  assert.equal(readQueryHead(wire, wire.length, query.head), VERDICT.answer);
  const server = { index: 0, label: 'dns://127.0.0.1:53' };
  query.receive(wire, wire.length, o.transport ?? 'udp', server, 0, () => o.client ?? CLIENT);
  return query;
}

/** The end of a chain; it records whether it was called. */
export class NextSpy {
  readonly answer = new Answer({
    wire: Buffer.alloc(12),
    ttlOffsets: [],
    rcode: 0,
    plugin: 'next',
  });
  asked = 0;
  readonly handler: Handler = () => {
    this.asked++;
    return this.answer;
  };
}

/** The answer of `plugin` to `query`, which must be synchronous. */
export function ask(plugin: Plugin, query: Query, next: Handler): Answer {
  const result = plugin.handle?.(query, next) as Result;
  assert.ok(result instanceof Answer, `${plugin.name} did not answer synchronously`);
  return result;
}

export function decoded(answer: Answer): DecodedPacket {
  return decode(answer.wire);
}

/** `type data` of every record in the answer section. */
export function answerLines(answer: Answer): string[] {
  return (decoded(answer).answers ?? []).map((record) =>
    'data' in record ? `${record.type} ${String(record.data)}` : record.type,
  );
}
