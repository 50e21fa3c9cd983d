/** A directive less a line that is wrong. */
import type { Place } from '../../base/errors.ts';
import type { Directive, Line } from '../../config/corefile/types.ts';

/** `directive` without the line of its body at `place`; undefined if none is there. A check goes on with the rest. */
export function withoutLine(directive: Directive, place: Place): Directive | undefined {
  const isAt = ({ name }: Line): boolean =>
    name.place.file === place.file && name.place.line === place.line;
  let isFound = false;
  const uses = directive.uses.map((use) => {
    if (isAt(use) || use.body?.some(isAt) !== true) return use;
    isFound = true;
    return { ...use, body: use.body.filter((line) => !isAt(line)) };
  });
  return isFound ? { ...directive, uses } : undefined;
}
