/** The command line of `nodens check`. */
import { UsageError } from '../base/errors.ts';
import { flagsOf } from '../base/flags/table.ts';
import { DEFAULT_CLUSTER_DOMAIN } from '../base/resolv-conf.ts';
import type { Environment } from '../config/corefile/env.ts';
import { type FlagValues, parseFlags } from './options.ts';

/** The command line of `check`, taken apart. */
export interface CheckFlags {
  /** Flags of the agent. */
  readonly values: FlagValues;
  /** `-` for standard input; undefined: the file that the agent would read. */
  readonly file: string | undefined;
  readonly isManifest: boolean;
  readonly isStrict: boolean;
  /** How findings are printed. */
  readonly format: 'text' | 'json' | 'annotations';
  /** Lower case, without trailing dot. */
  readonly clusterDomain: string;
}

/** Flags of `check` without a value. */
const SWITCHES = ['strict', 'json', 'annotations'];

/** Separates check's own flags and the file; parses the rest as the agent's flags. Throws UsageError. */
export function readCheckFlags(
  argv: readonly string[],
  env: Environment = process.env,
): CheckFlags {
  const rest: string[] = [];
  const files: string[] = [];
  let isManifest = false;
  const switches = new Set<string>();
  let clusterDomain = env.CLUSTER_DOMAIN || DEFAULT_CLUSTER_DOMAIN;
  const words = argv.flatMap((word) => splitAssignment(word));
  for (let at = 0; at < words.length; at++) {
    const text = words[at] as string;
    const name = text.startsWith('-') && text !== '-' ? text.replace(/^--?/, '') : undefined;
    if (name === undefined) files.push(text);
    else if (SWITCHES.includes(name)) switches.add(name);
    else if (name === 'cluster-domain') clusterDomain = wordAt(words, ++at, name);
    else if (name === 'from-cluster-manifest') {
      isManifest = true;
      files.push(wordAt(words, ++at, name));
    } else {
      rest.push(text);
      if (takesValue(name)) rest.push(wordAt(words, ++at, name));
    }
  }
  const [file, second] = files;
  if (second !== undefined) throw new UsageError(`one file at a time: "${second}" is the second`);
  const { values } = parseFlags(rest, 'agent');
  const domain = clusterDomain.toLowerCase().replace(/\.$/, '');
  const isStrict = switches.has('strict');
  const format = formatOf(switches);
  return { values, file, isManifest, isStrict, format, clusterDomain: domain };
}

function formatOf(switches: ReadonlySet<string>): CheckFlags['format'] {
  if (switches.has('json')) return 'json';
  return switches.has('annotations') ? 'annotations' : 'text';
}

/** `-name=value` as two words if the flag has a value, so that both forms are parsed alike. */
function splitAssignment(word: string): string[] {
  const [, name = '', value = ''] = /^--?([\w.-]+)=([\s\S]*)$/.exec(word) ?? [];
  return takesValue(name) ? [`-${name}`, value] : [word];
}

function takesValue(name: string): boolean {
  const flag = [...flagsOf('check'), ...flagsOf('agent')].find(
    (known) => known.name === name || known.aliases?.includes(name),
  );
  return flag?.value !== undefined;
}

function wordAt(words: readonly string[], at: number, name: string): string {
  const value = words[at];
  if (value === undefined) throw new UsageError(`flag -${name} needs a value`);
  return value;
}
