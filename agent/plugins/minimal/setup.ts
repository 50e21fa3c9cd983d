/** `minimal`: answers without unrequested records. */
import { bare, firstUse } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { minimise } from './handler.ts';

/** Throws ConfigError for arguments and braces. A second use is ignored with a warning. */
export function setup(directive: Directive, _block: Block, { log }: Services): Plugin {
  bare(firstUse(directive, log));
  return { name: 'minimal', handle: minimise };
}
