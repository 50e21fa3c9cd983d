/** Environment references in Corefile words: `{%NAME%}` first, then `{$NAME}`, as in CoreDNS. */

/** Variables by name, in the form of `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `text` with every reference replaced. An undefined variable becomes the empty string and is passed to `onMissing`;
 * the result stays one word whatever the value.
 */
export function substitute(
  text: string,
  env: Environment,
  onMissing: (name: string) => void,
): string {
  const value = (name: string): string => {
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    if (found === undefined) onMissing(name);
    return found ?? '';
  };
  return replaceReferences(replaceReferences(text, '{%', '%}', value), '{$', '}', value);
}

/** One pass from left to right; a reference without a name is left unchanged. */
function replaceReferences(
  text: string,
  open: string,
  close: string,
  value: (name: string) => string,
): string {
  let result = '';
  let at = 0;
  for (let start = text.indexOf(open); start !== -1; start = text.indexOf(open, at)) {
    const end = text.indexOf(close, start + open.length);
    if (end === -1) break;
    const name = text.slice(start + open.length, end);
    result +=
      name === '' ? text.slice(at, end + close.length) : text.slice(at, start) + value(name);
    at = end + close.length;
  }
  return result + text.slice(at);
}
