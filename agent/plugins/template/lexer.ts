/** Splits a template into text and actions, and actions into tokens. Throws RangeError. */

/** Text between actions, after the trimming by `{{- ` and ` -}}`. */
export interface TextPart {
  readonly kind: 'text';
  readonly text: string;
}

/** One `{{ … }}` without its braces. */
export interface ActionPart {
  readonly kind: 'action';
  readonly tokens: readonly ActionToken[];
}

/** A `sign` is `:=`, `=`, `|` or a parenthesis; a `word` is a keyword, a function or a constant. */
export type TokenKind = 'string' | 'number' | 'field' | 'variable' | 'word' | 'sign' | 'dot';

/** One token. `text` is as written: a string has its quotes, a field its dot, a variable its `$`. */
export interface ActionToken {
  readonly kind: TokenKind;
  readonly text: string;
  /** Whether no blank precedes it: `.a.b` is one operand, `.a .b` are two. */
  readonly isJoined: boolean;
}

const ACTION = /\{\{(-\s)?(.*?)(\s-)?\}\}/gs;

/** Parts in their order, without comments. Throws RangeError for an action without its end or with an unknown token. */
export function partsOf(source: string): (TextPart | ActionPart)[] {
  const parts: (TextPart | ActionPart)[] = [];
  let at = 0;
  let trimsNext = false;
  const text = (until: number, trimsEnd: boolean): void => {
    let piece = source.slice(at, until);
    if (trimsNext) piece = piece.trimStart();
    if (trimsEnd) piece = piece.trimEnd();
    if (piece !== '') parts.push({ kind: 'text', text: piece });
  };
  for (const match of source.matchAll(ACTION)) {
    const [all, left, body = '', right] = match;
    text(match.index, left !== undefined);
    at = match.index + all.length;
    trimsNext = right !== undefined;
    if (/^\s*\/\*.*\*\/\s*$/s.test(body)) continue;
    parts.push({ kind: 'action', tokens: tokensOf(body) });
  }
  if (source.indexOf('{{', at) !== -1) throw new RangeError('an action {{ without its end }}');
  text(source.length, false);
  return parts;
}

/** In the order of matching. */
const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ['string', /"(?:[^"\\]|\\.)*"|`[^`]*`/],
  ['number', /-?(?:0x[\da-f]+|\d+)(?![\w.])/],
  ['field', /\.[a-z_]\w*/],
  ['variable', /\$\w*/],
  ['word', /[a-z_]\w*/],
  ['sign', /:=|[=|()]/],
  ['dot', /\./],
];
const ANY_TOKEN = PATTERNS.map(([, { source }]) => `(${source})`).join('|');
const TOKEN = new RegExp(`(\\s*)(?:${ANY_TOKEN})`, 'iy');

function tokensOf(body: string): ActionToken[] {
  const tokens: ActionToken[] = [];
  const source = body.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null)
      throw new RangeError(`"${source.slice(start).trim()}" cannot be understood`);
    const [, blank, ...found] = match;
    const which = found.findIndex((text) => text !== undefined);
    const [kind] = PATTERNS[which] as readonly [TokenKind, RegExp];
    tokens.push({ kind, text: found[which] as string, isJoined: blank === '' && start > 0 });
  }
  return tokens;
}
