/** Words of a Go template: text, and the words of each action. */

export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly words: readonly string[]; readonly line: number };

const ACTION =
  /\{\{(-\s)?\s*(\/\*[\s\S]*?\*\/|(?:"(?:[^"\\]|\\.)*"|[^}"]|\}(?!\}))*?)\s*?(\s-)?\}\}/g;
const WORD = /"(?:[^"\\]|\\.)*"|:=|[()|=,]|[^\s()|=,:"]+/g;

/** Comments are left out; `{{-` and `-}}` take the blanks beside them away. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  let isTrimmed = false;
  const addText = (until: number, isTrimmedBehind: boolean): void => {
    let part = text.slice(end, until);
    if (isTrimmed) part = part.trimStart();
    if (isTrimmedBehind) part = part.trimEnd();
    if (part !== '') found.push({ kind: 'text', text: part });
  };
  for (const { 0: whole, 1: before, 2: inner = '', 3: behind, index } of text.matchAll(ACTION)) {
    addText(index, before !== undefined);
    end = index + whole.length;
    isTrimmed = behind !== undefined;
    const line = text.slice(0, index).split('\n').length;
    if (/\)\.\w/.test(inner))
      throw new Error(`line ${line}: a field of parentheses is not known here`);
    if (!inner.startsWith('/*'))
      found.push({ kind: 'action', words: inner.match(WORD) ?? [], line });
  }
  addText(text.length, false);
  return found;
}
