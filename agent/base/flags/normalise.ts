/**
 * Rewrites a command line in the form of Go's flag package (`-localip=IP`, `-p 53`, `-quiet=false`) into the form that
 * commander accepts: `--name=value` throughout.
 */
import { UsageError } from '../errors.ts';
import { nearest } from '../text/nearest.ts';
import type { Flag } from './types.ts';

/** Values by canonical flag name; switches are `true` or `false`. */
export interface Normalised {
  readonly argv: readonly string[];
  readonly wantsHelp: boolean;
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Throws UsageError for an unknown flag, a missing value, or an argument that is not a flag. */
export function normalise(argv: readonly string[], flags: readonly Flag[]): Normalised {
  const byName = new Map(
    flags.flatMap((flag) => [flag.name, ...(flag.aliases ?? [])].map((name) => [name, flag])),
  );
  const out: string[] = [];
  let wantsHelp = false;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const match = /^--?([A-Za-z][\w.-]*)(?:=([\s\S]*))?$/.exec(word);
    if (match === null) throw new UsageError(`unexpected argument "${word}"`);
    const [, name = '', attached] = match;
    if (name === 'help' || name === 'h') {
      wantsHelp = true;
      continue;
    }
    const flag = byName.get(name);
    if (flag === undefined) throw unknownFlag(word, name, byName.keys());
    if (flag.value === undefined) {
      out.push(`--${flag.name}=${switchValue(flag, attached)}`);
      continue;
    }
    const value = attached ?? argv[++i];
    if (value === undefined) throw new UsageError(`flag -${name} needs a value: ${flag.value}`);
    out.push(`--${flag.name}=${value}`);
  }
  return { argv: out, wantsHelp };
}

function switchValue(flag: Flag, text: string | undefined): 'true' | 'false' {
  if (text === undefined || TRUE.has(text)) return 'true';
  if (FALSE.has(text)) return 'false';
  throw new UsageError(`flag -${flag.name}: "${text}" is neither true nor false`);
}

function unknownFlag(word: string, name: string, known: Iterable<string>): UsageError {
  const meant = nearest(name, known);
  return new UsageError(
    `unknown flag ${word}${meant === undefined ? '' : `: did you mean -${meant}?`}`,
  );
}
