/** Text in HTML: what is put into a template is escaped, unless it is HTML already. Names of clients are hostile. */

/** Text that is HTML. Only `html` and `trusted` make it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes. Parts of a list follow each other. */
export type Value = string | number | Html | readonly Html[];

/** HTML with `values` escaped. It is safe in text and in attributes with double quotes, not in scripts and styles. */
export function html(texts: TemplateStringsArray, ...values: readonly Value[]): Html {
  let out = texts[0] ?? '';
  for (const [index, value] of values.entries()) out += textOf(value) + (texts[index + 1] ?? '');
  return new Html(out);
}

const NAMED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function textOf(value: Value): string {
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return String(value).replace(/[&<>"']/g, (char) => NAMED[char] ?? '');
}
