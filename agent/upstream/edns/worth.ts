/** Ranks replies to the same question asked with EDNS and without. */
import { RCODE } from '../../dns/iana.ts';
import type { Reply } from '../../dns/reply.ts';
import { isUseless } from '../health/usefulness.ts';

/** EDNS is refused explicitly. */
const REFUSAL = 0;
/** An error that says nothing about the name. */
export const USELESS = 1;
/** NOERROR without a record, not even the SOA of a denial (RFC 2308 §2.2). */
const EMPTY = 2;
/** Only a good reply ranks above a timeout: a packet may be lost by chance, and an error may be late. */
export const NO_REPLY = 3;
/** A reply about the name: with records, NXDOMAIN, or truncated. */
export const GOOD = 4;

/** One of the ranks above, larger for a better reply; `NO_REPLY` is the rank of a timeout, and is never returned. */
export function worthOf({ rcode, records, truncated }: Reply): number {
  if (refusesEdns(rcode)) return REFUSAL;
  // Codes above 15 concern EDNS itself.
  if (isUseless(rcode) || rcode > 0xf) return USELESS;
  return rcode === RCODE.NOERROR && records.length === 0 && !truncated ? EMPTY : GOOD;
}

/** Whether a repeat without OPT could bring nothing better. */
export function isGood(reply: Reply): boolean {
  return worthOf(reply) === GOOD;
}

/** A server without support for EDNS or for this version responds so (RFC 6891 §6.1.3, §7). */
export function refusesEdns(rcode: number): boolean {
  return rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP || rcode === RCODE.BADVERS;
}
