/** `debug`: debug lines in the log of the whole process. */
import { bare } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';

/** One use in any block is enough. Throws ConfigError for arguments and braces. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  for (const use of directive.uses) bare(use);
  services.process.debug();
  return { name: 'debug' };
}
