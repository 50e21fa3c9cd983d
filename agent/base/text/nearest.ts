/** The known word closest to a misspelt one: the only code for "did you mean". */

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const plain = Math.min(
        (above[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (above[j - 1] as number) + same,
      );
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(swapped ? Math.min(plain, (before[j - 2] as number) + 1) : plain);
    }
    before = above;
    above = row;
  }
  return above[b.length] as number;
}

/** Longer words are not typing mistakes, and comparing them would be slow. */
const MAX_WORD_CHARS = 64;

/** The entry of `known` closest to `word`, ignoring letter case, or undefined if none is close enough. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD_CHARS) return undefined;
  const deduplicated = word.toLowerCase();
  let bestEdits = Math.max(1, Math.floor(word.length / 3)) + 1;
  let best: string | undefined;
  for (const candidate of known) {
    const edits = distance(deduplicated, candidate.toLowerCase());
    if (edits >= bestEdits) continue;
    bestEdits = edits;
    best = candidate;
  }
  return best;
}

/** The ` did you mean "x"?` ending of a message about an unknown word; lists the known words if none is close. */
export function suggestion(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === undefined ? `known: ${known.join(', ')}` : `did you mean "${meant}"?`;
}
