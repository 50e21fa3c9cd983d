/** The only file that knows re2js: linear time, Go's syntax. It is loaded when a Corefile has a pattern. */
import { RE2JS, RE2Set } from 're2js';
import type { Pattern } from '../../base/text/pattern.ts';

/** What the automaton of one pattern may hold: over it states are thrown away, and found again when they are needed. */
const AUTOMATON_BYTES = 256 * 1024;

export interface CompiledPattern extends Pattern {
  /** Instructions of its program: what a character of text costs at most. */
  readonly instructions: number;
}

/** Throws an Error that says what is wrong, in Go's words. */
export function compilePattern(source: string): CompiledPattern {
  const groups = RE2JS.compile(source);
  // Whether there is a match at all is told by an automaton, many times faster than the search for groups.
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
