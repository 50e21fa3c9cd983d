/** Patterns of names in which `*` stands for any text, as a shell has them. */

/** Whether `text` is what `pattern` describes. Takes at most length times length steps, whatever the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let textAt = 0;
  /** Where the last `*` is, and how much of the text it stands for. */
  let star = -1;
  let starEnd = 0;
  while (textAt < text.length) {
    if (pattern[at] === '*') {
      star = at++;
      starEnd = textAt;
    } else if (pattern[at] === text[textAt]) {
      at++;
      textAt++;
    } else if (star === -1) {
      return false;
    } else {
      at = star + 1;
      textAt = ++starEnd;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
