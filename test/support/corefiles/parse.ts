/** Parsing in tests: a text, optionally with an environment and files. */
import { parseCorefile } from '../../../agent/config/corefile/parser.ts';
import { loadPatternEngine } from '../../../agent/config/corefile/pattern.ts';
import type { Block, Corefile, Directive } from '../../../agent/config/corefile/types.ts';
import { memoryFiles } from './memory-files.ts';

// As the agent does at the first pattern.
await loadPatternEngine();

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly defaultPort?: number;
}

/** The Corefile of `text` as if it were `/etc/Corefile`. */
export function parseText(text: string, around: Surroundings = {}): Corefile {
  return parseCorefile(text, {
    file: '/etc/Corefile',
    defaultPort: around.defaultPort ?? 53,
    env: around.env ?? {},
    files: memoryFiles(around.files ?? {}),
  });
}

/** A directive as a plugin's setup receives it, with its block, from the text of its uses: `cache 30 {\n keepttl\n}`. */
export function parseDirective(
  text: string,
  keys = '.',
): { readonly directive: Directive; readonly block: Block } {
  const block = parseText(`${keys} {\n${text}\n}\n`).blocks[0] as Block;
  return { directive: block.directives[0] as Directive, block };
}
