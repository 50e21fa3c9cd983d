/** Identifiers of a TypeScript text, without its comments and strings. */

/** A comment, a string without line breaks, or the text of a template up to an expression in it. */
const NOT_CODE = new RegExp(
  [
    /\/\*[\s\S]*?\*\//,
    /\/\/[^\n]*/,
    /'(?:\\.|[^'\\\n])*'/,
    /"(?:\\.|[^"\\\n])*"/,
    /`[^`$]*(?:`|\$\{)/,
    /\}[^`${}\n]*(?:`|\$\{)/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

export function identifiersIn(text: string): Set<string> {
  const code = text.replace(NOT_CODE, ' ');
  return new Set(code.match(/[A-Za-z_$][\w$]*/g));
}
