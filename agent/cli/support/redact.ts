/** Takes secrets out of what leaves the node in a bug report. Takes too much rather than too little. */

const REMOVED = '[removed]';
const SECRET = '(?:token|passwo?r?d|secret|api[-_]?key|authorization|credential|headers?)';

const RULES: readonly (readonly [RegExp, string])[] = [
  // Keys and certificates.
  [/-----BEGIN [^-]+-----[\s\S]*?(?:-----END [^-]+-----|$)/g, REMOVED],
  // JSON Web Tokens, as ServiceAccounts have them.
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, REMOVED],
  // User and password of a URL.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, `$1${REMOVED}@`],
  // Parameters of a URL.
  [new RegExp(`([?&][\\w-]*${SECRET}[\\w-]*=)[^&\\s"']+`, 'gi'), `$1${REMOVED}`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REMOVED}`],
  // A field of a JSON text, and one within a JSON string.
  [
    new RegExp(`("[\\w.-]*${SECRET}[\\w.-]*"\\s*:\\s*)"(?:[^"\\\\]|\\\\.)*"`, 'gi'),
    `$1"${REMOVED}"`,
  ],
  // An option of a Corefile: its whole line.
  [new RegExp(`^(\\s*[\\w.-]*${SECRET}[\\w.-]*[ \\t]+)[^\\s{].*$`, 'gim'), `$1${REMOVED}`],
  // A flag or an environment variable.
  [new RegExp(`((?:^|\\s)-{0,2}[\\w.-]*${SECRET}[\\w.-]*=)\\S+`, 'gim'), `$1${REMOVED}`],
];

/** Shorter values of variables would take harmless words along. */
const MIN_SECRET_CHARS = 6;

/** `text` without secrets; also without the values of environment variables whose name sounds like one. */
export function redacted(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const isSecret = new RegExp(SECRET, 'i');
  const values = Object.entries(env)
    .filter(([name, value = '']) => isSecret.test(name) && value.length >= MIN_SECRET_CHARS)
    .map(([, value = '']) => value);
  const known = values.reduce((rest, value) => rest.replaceAll(value, REMOVED), text);
  return RULES.reduce((rest, [pattern, by]) => rest.replace(pattern, by), known);
}
