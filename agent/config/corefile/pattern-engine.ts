/** The only file that imports re2js: linear time, Go's syntax. It is loaded if a Corefile contains a pattern. */
import { RE2JS, RE2Set } from 're2js';
import type { Pattern } from '../../base/text/pattern.ts';

/** Maximum memory of one pattern's automaton: above it states are discarded and computed again on demand. */
const AUTOMATON_BYTES = 256 * 1024;

/** A pattern with its cost, which `LIMITS.patternInstructions` limits. */
export interface CompiledPattern extends Pattern {
  /** Instructions of its program: the maximum cost of a character of text. */
  readonly instructions: number;
}

/** Throws an Error with the reason, in Go's words. */
export function compilePattern(source: string): CompiledPattern {
  const groups = RE2JS.compile(source);
  // An automaton decides whether there is a match, many times faster than the search for groups.
  const automaton = new RE2Set(RE2Set.UNANCHORED, 0, AUTOMATON_BYTES);
  automaton.add(source);
  automaton.compile();
  const test = (text: string): boolean => automaton.match(text).length > 0;
  return {
    source,
    instructions: groups.programSize(),
    groups: groups.groupCount(),
    names: new Map(Object.entries(groups.namedGroups())),
    test,
    match: (text) => {
      if (!test(text)) return undefined;
      const matcher = groups.matcher(text);
      if (!matcher.find()) return undefined;
      return Array.from({ length: groups.groupCount() + 1 }, (_, at) => matcher.group(at) ?? '');
    },
  };
}
