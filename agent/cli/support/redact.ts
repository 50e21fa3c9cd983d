/** Takes secrets out of what leaves the node in a bug report. Takes too much rather than too little. */

const REMOVED = '[removed]';
const SECRET =
  '(?:token|passwo?r?d|passphrase|secret|api[-_]?key|authorization|credential|headers?)';
const NAME = `[\\w.-]*${SECRET}[\\w.-]*`;
/**
 * The rest of a quoted text, after as many backslashes and a quote as in group 2: JSON within JSON has more of them. Its end
 * is missing where a line was cut.
 */
const QUOTED = '(?:[^"\\\\\\n]|\\\\+(?!["\\\\])|(?!\\2")\\\\+")*(?:\\2"|$)';

const RULES: readonly (readonly [RegExp, string])[] = [
  // Keys and certificates.
  [/-----BEGIN [^-]+-----[\s\S]*?(?:-----END [^-]+-----|$)/g, REMOVED],
  // JSON Web Tokens, as ServiceAccounts have them.
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, REMOVED],
  // User and password of a URL, to the last @: a password may have one, and quotes. In JSON a quote before , : } ] is an end.
  [/\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/"]|"(?![\s,:}\]]))+@/gi, `$1${REMOVED}@`],
  // All parameters of a URL: what they are called is up to its server. Elsewhere those that are called like a secret.
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s?"']*\?)[^\s"']+/gi, `$1${REMOVED}`],
  [new RegExp(`([?&][\\w-]*${SECRET}[\\w-]*=)[^&\\s"']+`, 'gi'), `$1${REMOVED}`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REMOVED}`],
  // A field of a JSON text, also of one within a JSON string, and a flag before its value in a list.
  [new RegExp(`((\\\\*)"${NAME}\\2"\\s*:\\s*\\2")${QUOTED}`, 'gim'), `$1${REMOVED}$2"`],
  [new RegExp(`((\\\\*)"-${NAME}\\2"\\s*,\\s*\\2")${QUOTED}`, 'gim'), `$1${REMOVED}$2"`],
  [new RegExp(`("${NAME}\\\\*"\\s*:\\s*)\\[[^\\]]*\\]`, 'gi'), `$1"${REMOVED}"`],
  // A header of HTTP, a field of YAML.
  [new RegExp(`((?:^|[\\s"'])${NAME}:[ \\t]+)[^\\s"\\\\][^"\\\\\\n]*`, 'gim'), `$1${REMOVED}`],
  // An option of a Corefile: its whole line.
  [new RegExp(`^([ \\t]*${NAME}[ \\t]+)[^\\s{].*$`, 'gim'), `$1${REMOVED}`],
  // A flag or an environment variable; a flag whose value is the next word of the command line.
  [new RegExp(`((?:^|\\s)-{0,2}${NAME}=)\\S+`, 'gim'), `$1${REMOVED}`],
  [new RegExp(`^(-${NAME}\\n)[^\\s-].*$`, 'gim'), `$1${REMOVED}`],
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
