/** Names of the machine itself (RFC 6761 §6.3) and the reverse zones of its addresses (RFC 6303 §4). */
import { addressBytes } from '../../base/address.ts';
import type { NewRecord } from '../../dns/build.ts';
import { putU32 } from '../../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { isSubdomain, nameFromText, sameName } from '../../dns/name.ts';
import { type Answer, madeAnswer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import type { Counter } from '../../query/services/metrics.ts';

const TTL_SECONDS = 604_800;
const LOCALHOST = nameFromText('localhost.');
const LOOPBACK = nameFromText('1.0.0.127.in-addr.arpa.');
const REVERSE = ['0', '127', '255'].map((byte) => nameFromText(`${byte}.in-addr.arpa.`));
/** Bytes of the label `localhost` with its length. */
const LABEL_BYTES = LOCALHOST.length - 1;

const A = record(TYPE.A, addressBytes('127.0.0.1'));
const AAAA = record(TYPE.AAAA, addressBytes('::1'));
const NS = record(TYPE.NS, LOCALHOST);
const PTR = record(TYPE.PTR, LOCALHOST);
const SOA = record(TYPE.SOA, soaData());

function record(type: number, rdata: Uint8Array): NewRecord {
  return { type, ttlSeconds: TTL_SECONDS, rdata };
}

/** Serial 1, no refresh, retry or expire, MINIMUM as the TTL. */
function soaData(): Uint8Array {
  const numbers = new Uint8Array(20);
  putU32(numbers, 0, 1);
  putU32(numbers, 16, TTL_SECONDS);
  return Uint8Array.from([...LOCALHOST, ...nameFromText('root.localhost.'), ...numbers]);
}

/** `takesPrefix`: whether `localhost.` in front of any other name, the effect of a search list, counts as well. */
export function localHandler(
  takesPrefix: boolean,
  prefixed: Counter,
): (query: Query, next: Handler) => Result {
  return (query, next) => {
    if (query.class !== CLASS.IN) return next(query);
    const { name } = query;
    if (isSubdomain(name, LOCALHOST)) return host(query, sameName(name, LOCALHOST));
    const zone = REVERSE.find((candidate) => isSubdomain(name, candidate));
    if (zone !== undefined) return reverse(query, zone);
    if (!takesPrefix || !startsWithLocalhost(name)) return next(query);
    prefixed.value++;
    return host(query, false);
  };
}

function startsWithLocalhost(name: Uint8Array): boolean {
  return name.length > LOCALHOST.length && LOCALHOST.subarray(0, LABEL_BYTES).every(matches(name));
}

function matches(name: Uint8Array): (byte: number, at: number) => boolean {
  return (byte, at) => name[at] === byte;
}

/** A name of this machine. Only `localhost.` itself has SOA and NS. */
function host(query: Query, isApex: boolean): Answer {
  if (query.type === TYPE.A) return positive(query, A);
  if (query.type === TYPE.AAAA) return positive(query, AAAA);
  return isApex ? apex(query) : noData(query, SOA);
}

function reverse(query: Query, zone: Uint8Array): Answer {
  if (sameName(query.name, zone)) return apex(query);
  const soa = { ...SOA, name: zone };
  if (!sameName(query.name, LOOPBACK)) return denial(query, soa, RCODE.NXDOMAIN);
  return query.type === TYPE.PTR ? positive(query, PTR) : noData(query, soa);
}

function apex(query: Query): Answer {
  if (query.type === TYPE.SOA) return positive(query, SOA);
  return query.type === TYPE.NS ? positive(query, NS) : noData(query, SOA);
}

function positive(query: Query, answer: NewRecord): Answer {
  return madeAnswer(query, { rcode: RCODE.NOERROR, flags: 0, answer: [answer] }, 'local');
}

function noData(query: Query, soa: NewRecord): Answer {
  return denial(query, soa, RCODE.NOERROR);
}

function denial(query: Query, soa: NewRecord, rcode: number): Answer {
  return madeAnswer(query, { rcode, flags: 0, authority: [soa] }, 'local');
}
