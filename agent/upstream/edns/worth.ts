/** How much a reply is worth, where the same question was asked with EDNS and without. */
import { RCODE } from '../../dns/iana.ts';
import type { Reply } from '../../dns/reply.ts';
import { isUseless } from '../health/usefulness.ts';

/** EDNS is refused in so many words. */
const REFUSAL = 0;
/** An error that says nothing of the name. */
export const USELESS = 1;
/** NOERROR and not a single record, not even the SOA of a denial (RFC 2308 §2.2). */
const EMPTY = 2;
/** Only a good answer says more: one packet is soon lost, and an error may take its time. */
export const NO_REPLY = 3;
export const GOOD = 4;

export function worthOf({ rcode, records, truncated }: Reply): number {
  if (refusesEdns(rcode)) return REFUSAL;
  // Codes above 15 are about EDNS itself.
  if (isUseless(rcode) || rcode > 0xf) return USELESS;
  return rcode === RCODE.NOERROR && records.length === 0 && !truncated ? EMPTY : GOOD;
}

export function isGood(reply: Reply): boolean {
  return worthOf(reply) === GOOD;
}

/** A server that does not know EDNS, or not our version, says so (RFC 6891 §6.1.3, §7). */
export function refusesEdns(rcode: number): boolean {
  return rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP || rcode === RCODE.BADVERS;
}
