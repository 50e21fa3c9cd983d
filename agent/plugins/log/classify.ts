/** The three classes of responses for a log rule. */
import { ancountOf, nscountOf, u16 } from '../../dns/header.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import { skipName } from '../../dns/name.ts';
import { skipQuestions, skipRecord } from '../../dns/records.ts';
import type { Answer } from '../../query/answer.ts';

/** Values of the option `class` besides `all`. */
export type ResponseClass = 'success' | 'denial' | 'error';

/** NOERROR with data or a delegation is a success, NXDOMAIN and no data (RFC 2308 §2.2) a denial, all else an error. */
export function classify({ rcode, wire }: Answer): ResponseClass {
  if (rcode === RCODE.NXDOMAIN) return 'denial';
  if (rcode !== RCODE.NOERROR || wire.length === 0) return 'error';
  return ancountOf(wire) === 0 && hasSoa(wire) ? 'denial' : 'success';
}

/** Whether a message without answers has an SOA in its authority section. */
function hasSoa(wire: Uint8Array): boolean {
  const end = wire.length;
  let at = skipQuestions(wire, end);
  for (let left = nscountOf(wire); left > 0 && at >= 0; left--) {
    const fixed = skipName(wire, at, end);
    if (fixed < 0 || fixed + 2 > end) return false;
    if (u16(wire, fixed) === TYPE.SOA) return true;
    at = skipRecord(wire, at, end);
  }
  return false;
}
