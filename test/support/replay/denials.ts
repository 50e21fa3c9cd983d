/** Which answers of a scripted upstream the cache may store as denials. */
import { FLAG, flagsOf, nscountOf } from '../../../agent/dns/header.ts';

/** Whether an answer without records has the SOA that a negative answer needs (RFC 2308 §5), and is complete. */
export function hasSoa(wire: Buffer): boolean {
  return nscountOf(wire) > 0 && (flagsOf(wire) & FLAG.TC) === 0;
}
