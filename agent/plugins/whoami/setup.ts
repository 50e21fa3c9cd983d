/** `whoami`: returns the client's own address, port and transport. */
import { bare, firstUse } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { whoami } from './handler.ts';

/** Throws ConfigError for arguments and braces. A second use is ignored with a warning. */
export function setup(directive: Directive, _block: Block, { log }: Services): Plugin {
  bare(firstUse(directive, log));
  return { name: 'whoami', handle: whoami };
}
