/** A regular expression in Go's syntax that runs in linear time, so that an attacker cannot make it slow. */

/** A compiled expression, safe to match against text from clients. */
export interface Pattern {
  /** As written in the configuration. */
  readonly source: string;
  /** Number of groups, without the whole match. */
  readonly groups: number;
  /** Index of each named group, from 1. */
  readonly names: ReadonlyMap<string, number>;
  /** Whether it matches anywhere in `text`. */
  test(text: string): boolean;
  /** The first match and its groups; '' for a group that did not match (as in Go). Undefined without a match. */
  match(text: string): readonly string[] | undefined;
}
