/** Shortens a response to its client's limit by leaving out whole records (RFC 2181 §9). */
import { ancountOf, arcountOf, nscountOf, putU16 } from './header.ts';
import { skipRecord } from './records.ts';

/**
 * Removes records from the end of the well-formed message in `message[0, end)` until it fits `maxBytes`, corrects the
 * counts and returns the new end. `questionEnd` is the offset of the first record. The caller sets TC. Pointers always
 * point backwards, so removing the end breaks none.
 */
export function truncateAt(
  message: Buffer,
  questionEnd: number,
  end: number,
  maxBytes: number,
): number {
  let at = questionEnd;
  let kept = 0;
  for (;;) {
    const next = at < end ? skipRecord(message, at, end) : -1;
    if (next < 0 || next > maxBytes) break;
    at = next;
    kept++;
  }
  const answers = Math.min(kept, ancountOf(message));
  const authorities = Math.min(kept - answers, nscountOf(message));
  const additionals = Math.min(kept - answers - authorities, arcountOf(message));
  putU16(message, 6, answers);
  putU16(message, 8, authorities);
  putU16(message, 10, additionals);
  return at;
}
