/** DNS64 (RFC 6147), for resolvers in front of a NAT64. It makes no signatures: clients must not validate. */
import type { Cidr } from '../../base/address.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { rebuild } from '../../dns/rebuild.ts';
import { type RecordView, readRecords } from '../../dns/records.ts';
import { type Answer, remade, wireAt } from '../../query/answer.ts';
import { after, type Handler, type Result } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import { resolveFor } from '../../query/reenter.ts';
import type { Counter, ServerLabel, Services } from '../../query/services.ts';

export interface Dns64Options {
  readonly prefix: Cidr;
  /** Whether AAAA records that exist are replaced as well. */
  readonly translateAll: boolean;
  readonly allowIpv4: boolean;
  readonly services: Pick<Services, 'resolve' | 'clock'>;
  readonly translated: (server: ServerLabel) => Counter;
}

/** TTL at most where the empty answer has no SOA, seconds (RFC 6147 §5.1.7). */
const TTL_WITHOUT_SOA_SECONDS = 600;

export function dns64Handler(options: Dns64Options): (query: Query, next: Handler) => Result {
  const { allowIpv4, translateAll } = options;
  return (query, next) => {
    if (query.type !== TYPE.AAAA || query.class !== CLASS.IN || query.isInternal)
      return next(query);
    if (!allowIpv4 && query.client.family !== 6) return next(query);
    return after(next, query, (answer) => {
      const records = readRecords(answer.wire);
      // NXDOMAIN goes for every type (RFC 6147 §5.1.2); any other error counts as an empty answer.
      if (records === undefined || answer.rcode === RCODE.NXDOMAIN) return answer;
      if (!translateAll && records.some(isAnswer(TYPE.AAAA))) return answer;
      return translated(query, answer, records, options);
    });
  };
}

function isAnswer(type: number): (record: RecordView) => boolean {
  return (record) => record.section === 'answer' && record.type === type;
}

/** The A records of the name as AAAA records; the answer that was there where there are none. */
function translated(
  query: Query,
  empty: Answer,
  records: readonly RecordView[],
  { prefix, services, translated: counters }: Dns64Options,
): Promise<Answer> {
  return resolveFor(query, query.name, TYPE.A, services).then((found) => {
    const isUseful =
      found.rcode === RCODE.NOERROR && readRecords(found.wire)?.some(isAnswer(TYPE.A));
    if (isUseful !== true) return empty;
    const nowMs = services.clock.nowMs();
    const source = wireAt(found, nowMs);
    const limit = soaTtl(records);
    const wire = rebuild(source, {
      question: query,
      substitute: (record) =>
        isAnswer(TYPE.A)(record) && record.rdataEnd - record.rdataStart === 4
          ? {
              type: TYPE.AAAA,
              ttlSeconds: Math.min(record.ttlSeconds, limit),
              rdata: embed(prefix, source.subarray(record.rdataStart, record.rdataEnd)),
            }
          : undefined,
    });
    if (wire === undefined) return empty;
    counters(query.server).value++;
    return remade(found, wire, nowMs).with({ plugin: 'dns64' });
  });
}

function soaTtl(records: readonly RecordView[]): number {
  const soa = records.find(({ section, type }) => section === 'authority' && type === TYPE.SOA);
  return soa?.ttlSeconds ?? TTL_WITHOUT_SOA_SECONDS;
}

/** Bits 64 to 71 stay zero, whatever the prefix's length (RFC 6052 §2.2). */
function embed({ bytes, prefix }: Cidr, address: Uint8Array): Uint8Array {
  const octets = new Uint8Array(16);
  let at = prefix / 8;
  octets.set(bytes.subarray(0, at));
  for (const octet of address) {
    if (at === 8) at++;
    octets[at++] = octet;
  }
  return octets;
}
