/** One server block out of a few lines of Corefile, for tests of plugins. */
import { parseCorefile } from '../../../agent/config/corefile/parser.ts';
import type { Block, Directive } from '../../../agent/config/corefile/types.ts';
import { memoryFiles } from './memory-files.ts';

/** All server blocks of `text`. */
export function blocksOf(text: string): readonly Block[] {
  const options = { file: 'Corefile', defaultPort: 53, env: {}, files: memoryFiles({}) };
  return parseCorefile(text, options).blocks;
}

/** The block `.:53` with `directives` in it; the first directive stands on line 2. */
export function blockWith(directives: string): Block {
  return blocksOf(`.:53 {\n${directives}\n}\n`)[0] as Block;
}

export function directiveOf(block: Block, name: string): Directive {
  const found = block.directives.find((directive) => directive.name === name);
  if (found === undefined) throw new Error(`no ${name} in the block`);
  return found;
}
