/** A regular expression in Go's syntax whose cost grows with the text and not with the patience of an attacker. */

export interface Pattern {
  /** As the configuration has it. */
  readonly source: string;
  /** Number of groups, the whole match not counted. */
  readonly groups: number;
  /** Index of each named group, from 1. */
  readonly names: ReadonlyMap<string, number>;
  /** Whether it matches anywhere in `text`. */
  test(text: string): boolean;
  /** The first match and its groups; '' for a group that took no part (as in Go). Undefined where there is none. */
  match(text: string): readonly string[] | undefined;
}
