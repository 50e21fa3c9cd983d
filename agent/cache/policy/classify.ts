/**
 * Decides whether and how the cache stores an answer. CoreDNS's rules (1.14), but negatives without SOA are never
 * stored.
 */
import { FLAG, flagsOf, u32 } from '../../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import type { RecordView } from '../../dns/records.ts';
import { matchesQuestion } from '../../dns/reply.ts';
import type { Answer } from '../../query/answer.ts';

/**
 * - `success`, `delegation`, `denial` (NXDOMAIN, NODATA): may be stored.
 * - `uncacheable`: valid, but without a usable lifetime: negatives without SOA, signatures outside their validity period.
 * - `failure`: SERVFAIL or NOTIMP; stored briefly.
 * - `refusal`: another error, or a partial answer: the client gets it if there is nothing better.
 * - `mismatch`: the answer to another question.
 */
export type Verdict =
  | 'success'
  | 'delegation'
  | 'denial'
  | 'uncacheable'
  | 'failure'
  | 'refusal'
  | 'mismatch';

/** The question, as far as a verdict depends on it. */
export interface Asked {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly dnssecOk: boolean;
}

/** `records` are those of the message, and empty for a `mismatch`. */
export interface Classified {
  readonly verdict: Verdict;
  readonly records: readonly RecordView[];
}

/** Types that stand for more than one RRset, or that concern one hop only: never cached (RFC 6895 §3.1). */
const FIRST_META_TYPE = 128;
const LAST_META_TYPE = 255;

/** Whether answers to the question may be stored and shared at all. */
export function isCacheable(type: number, qclass: number): boolean {
  if (qclass !== CLASS.IN || type === TYPE.OPT) return false;
  return type < FIRST_META_TYPE || type > LAST_META_TYPE;
}

/** `wallSeconds` is Unix time: signatures are valid between two dates. */
export function classify(asked: Asked, answer: Answer, wallSeconds: number): Classified {
  const { wire, records, rcode } = answer;
  if (records === undefined || !matchesQuestion(wire, asked.name, asked.type, asked.class)) {
    return { verdict: 'mismatch', records: [] };
  }
  if (rcode === RCODE.SERVFAIL || rcode === RCODE.NOTIMP) return { verdict: 'failure', records };
  const isAnswer = rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN;
  if (!isAnswer || (flagsOf(wire) & FLAG.TC) !== 0) return { verdict: 'refusal', records };
  if (asked.dnssecOk && records.some((record) => isOutOfTime(wire, record, wallSeconds))) {
    return { verdict: 'uncacheable', records };
  }
  return {
    verdict: rcode === RCODE.NXDOMAIN ? nameError(asked, records) : content(asked, records),
    records,
  };
}

/**
 * NXDOMAIN applies to the last name in a chain of aliases, and to the question's as long as the chain lasts (RFC 2308
 * §2.1, RFC 6604 §3). An NXDOMAIN that contains the requested records contradicts itself.
 */
function nameError({ type: asked }: Asked, records: readonly RecordView[]): Verdict {
  const isAnswer = ({ section, type }: RecordView): boolean =>
    section === 'answer' && (type === asked || !ALIASES.has(type));
  return hasSoa(records) && !records.some(isAnswer) ? 'denial' : 'uncacheable';
}

/** Record types in a chain of aliases. */
const ALIASES: ReadonlySet<number> = new Set([TYPE.CNAME, TYPE.DNAME, TYPE.RRSIG]);

/** A NOERROR answer, by its records; a chain of aliases without an end is a denial if an SOA proves it. */
function content(asked: Asked, records: readonly RecordView[]): Verdict {
  const { type } = asked;
  if (records.some((record) => record.section === 'answer' && record.type === type))
    return 'success';
  if (hasSoa(records)) return 'denial';
  if (records[0]?.section === 'answer') return 'uncacheable';
  const delegates = records.some((r) => r.section === 'authority' && r.type === TYPE.NS);
  return delegates ? 'delegation' : 'uncacheable';
}

function hasSoa(records: readonly RecordView[]): boolean {
  return records.some((record) => record.section === 'authority' && record.type === TYPE.SOA);
}

const RRSIG_EXPIRATION_AT = 8;
const RRSIG_INCEPTION_AT = 12;
const RRSIG_FIXED_BYTES = 18;

/** Whether a signature has expired or is not valid yet, in serial arithmetic (RFC 4034 §3.1.5). */
function isOutOfTime(wire: Buffer, record: RecordView, wallSeconds: number): boolean {
  const { type, rdataStart, rdataEnd } = record;
  if (type !== TYPE.RRSIG || rdataEnd - rdataStart < RRSIG_FIXED_BYTES) return false;
  const now = wallSeconds | 0;
  const untilExpiration = (u32(wire, rdataStart + RRSIG_EXPIRATION_AT) - now) | 0;
  const sinceInception = (now - u32(wire, rdataStart + RRSIG_INCEPTION_AT)) | 0;
  return untilExpiration < 0 || sinceInception < 0;
}
