/** `whoami`: tells a client its own address, port and transport. */
import { bare } from '../../config/corefile/args.ts';
import type { Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import { whoami } from './handler.ts';

export function setup(directive: Directive): Plugin {
  bare(directive);
  return { name: 'whoami', handle: whoami };
}
