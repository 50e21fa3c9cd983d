/** The answer for the asked name: an alias to the name that was found, and what was found. */
import { buildResponse, type QuestionFields } from '../../dns/build.ts';
import { FLAG, flagsOf, putU16, RCODE_MASK } from '../../dns/header.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import { rebuildAll } from '../../dns/rebuild.ts';
import { readRecords } from '../../dns/records.ts';
import { type Answer, remade, wireAt } from '../../query/answer.ts';

/** TTL of the alias if neither denial nor answer limits it, seconds; the life of a denial of a cluster name. */
const MAX_ALIAS_TTL_SECONDS = 5;

/**
 * The answer to `question`: a CNAME to `found` (lower-case wire form), then the records of `source`, the answer for that
 * name, as CoreDNS does. The alias lives no longer than `first`, the denial that it replaces, and no longer than the
 * records of `source`. A denial of one type becomes an empty answer, because the name exists. Undefined where the message
 * cannot be made. Never stored: it depends on the client.
 */
export function aliased(
  question: QuestionFields,
  found: Uint8Array,
  source: Answer,
  first: Answer | undefined,
  nowMs: number,
): Answer | undefined {
  const wire = wireAt(source, nowMs);
  const rcode = source.rcode === RCODE.NXDOMAIN ? RCODE.NOERROR : source.rcode;
  const ttlSeconds = Math.min(
    MAX_ALIAS_TTL_SECONDS,
    leastTtl(wire),
    first === undefined ? MAX_ALIAS_TTL_SECONDS : leastTtl(wireAt(first, nowMs)),
  );
  const alias = { type: TYPE.CNAME, ttlSeconds, rdata: found };
  // No signature covers the alias, so the answer as a whole is not authentic.
  const flags = flagsOf(wire) & ~(FLAG.AA | FLAG.AD | RCODE_MASK);
  const head = buildResponse(copied(question), { rcode, flags, answer: [alias] });
  const whole = rebuildAll([head, wire], { isWhole: true });
  if (whole === undefined) return undefined;
  return remade(source, whole, nowMs).with({ rcode, plugin: 'autopath', shareable: false });
}

/** `denial` as an empty answer: its name exists, for another type. */
export function nameExists(denial: Answer): Answer {
  const wire = Buffer.from(denial.wire);
  putU16(wire, 2, flagsOf(wire) & ~RCODE_MASK);
  return denial.with({ wire, rcode: RCODE.NOERROR, plugin: 'autopath', shareable: false });
}

/** The question with bytes of its own: those of a query change with the next datagram. */
function copied({ name, type, class: qclass }: QuestionFields): QuestionFields {
  return { name: name.slice(), type, class: qclass };
}

function leastTtl(wire: Buffer): number {
  return (readRecords(wire) ?? []).reduce(
    (least, { ttlSeconds, section }) =>
      section === 'additional' ? least : Math.min(least, ttlSeconds),
    Number.POSITIVE_INFINITY,
  );
}
