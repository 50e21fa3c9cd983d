/** `minimal`: answers without the records nobody asked for. */
import { bare } from '../../config/corefile/args.ts';
import type { Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import { minimise } from './handler.ts';

export function setup(directive: Directive): Plugin {
  bare(directive);
  return { name: 'minimal', handle: minimise };
}
