/**
 * Turns an upstream's reply into one that may be stored and served: fully parsed, without unrequested records, and no
 * longer than necessary. Everything else stays byte for byte as received.
 */
import { buildResponse, type QuestionFields } from '../build.ts';
import { MAX_FRAME_BYTES } from '../frame.ts';
import { ancountOf, FLAG, flagsOf, qdcountOf, RCODE_MASK } from '../header.ts';
import { isTransfer, RCODE, TYPE } from '../iana.ts';
import type { RecordView } from '../records.ts';
import { type Reply, readReply } from '../reply.ts';
import { restoreCase } from './case.ts';
import { chainOf } from './chain.ts';
import { areWellFormed } from './check.ts';
import { compressed } from './compress.ts';
import { NameReader } from './names.ts';
import { Suffixes } from './suffixes.ts';

/** The question as it was sent upstream. `dnssecOk` is the DO bit of the query (RFC 3225 §3). */
export interface Asked extends QuestionFields {
  readonly dnssecOk: boolean;
}

/** Why a reply is rejected: it cannot be parsed, or its answers belong to another question. */
export const REJECTIONS = ['malformed', 'unrelated'] as const;
/** Result of `acceptReply` for a reply that must be neither stored nor served. */
export type Rejection = (typeof REJECTIONS)[number];

const names = new NameReader();
const suffixes = new Suffixes(names);
const tables = { names, suffixes };

/**
 * Parses the reply in `message` to `asked`; its question, if present, matches. `randomizedName` is the name as sent, if
 * it was sent in random letter case. The input is neither kept nor changed.
 *
 * Removed are answers outside the chain of aliases from the question, and DNSSEC records that were not requested
 * (RFC 4035 §3.2.1). If the answer section has records but none of them answers the question, the reply is rejected. An
 * error without a question (RFC 6891 §7) gets the question that was asked.
 */
export function acceptReply(
  message: Buffer,
  asked: Asked,
  randomizedName?: Uint8Array,
): Reply | Rejection {
  const reply = readReply(message);
  if (reply === undefined || message.length > MAX_FRAME_BYTES) return 'malformed';
  const { wire, records } = reply;
  if (qdcountOf(wire) === 0) return withQuestion(reply, asked);
  if (randomizedName !== undefined) restoreCase(wire, records, asked.name, randomizedName);
  names.start(wire);
  if (!areWellFormed(wire, records, names)) return 'malformed';
  const kept = wanted(reply, asked);
  if (kept === undefined) return 'unrelated';
  const isWhole = kept === records;
  if (isWhole && !names.canShrink) return reply;
  const written = compressed(wire, kept, suffixes, isWhole ? wire.length - 1 : MAX_FRAME_BYTES);
  if (written === undefined) return isWhole ? reply : 'malformed';
  const { rcode, truncated, extended } = reply;
  return { wire: written.wire, records: written.records, rcode, truncated, extended };
}

/** An error needs no records; any other reply without a question answers none. */
function withQuestion(reply: Reply, asked: Asked): Reply | Rejection {
  const { rcode } = reply;
  if (rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN) return 'malformed';
  const flags = flagsOf(reply.wire) & ~(FLAG.QR | RCODE_MASK);
  return { ...reply, wire: buildResponse(asked, { rcode, flags }), records: [] };
}

/** The records to keep: the same array if all are kept; undefined if no answer belongs to the question. */
function wanted({ wire, records, rcode }: Reply, asked: Asked): readonly RecordView[] | undefined {
  const answers = ancountOf(wire);
  const belongs = chainOf(wire, records, answers, tables, asked);
  if (belongs !== undefined && rcode === RCODE.NOERROR) {
    const isAnswer = ({ type }: RecordView, i: number): boolean =>
      belongs[i] === true && (type === asked.type || asked.type === TYPE.ANY);
    if (!records.some(isAnswer)) return undefined;
  }
  const strips = !asked.dnssecOk && hasUnasked(records, asked);
  if (belongs === undefined && !strips) return records;
  return records.filter(
    (record, i) => belongs?.[i] !== false && !(strips && isUnasked(record, asked)),
  );
}

/** Types that only prove others (RFC 4034, RFC 5155, and RFC 2535 before them). */
const PROOFS: readonly number[] = [
  TYPE.SIG,
  TYPE.KEY,
  30, // NXT
  TYPE.DS,
  TYPE.RRSIG,
  TYPE.NSEC,
  TYPE.DNSKEY,
  TYPE.NSEC3,
  TYPE.NSEC3PARAM,
];
const IS_PROOF = Uint8Array.from({ length: 256 }, (_, type) => Number(PROOFS.includes(type)));

function hasUnasked(records: readonly RecordView[], asked: Asked): boolean {
  for (let i = 0; i < records.length; i++) {
    if (isUnasked(records[i] as RecordView, asked)) return true;
  }
  return false;
}

function isUnasked({ type, section }: RecordView, { type: asked }: Asked): boolean {
  if (IS_PROOF[type] !== 1) return false;
  return section !== 'answer' || (type !== asked && asked !== TYPE.ANY && !isTransfer(asked));
}
