/** `any`: one small answer to questions of type ANY. */
import { bare } from '../../config/corefile/args.ts';
import type { Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import { answerAny } from './handler.ts';

export function setup(directive: Directive): Plugin {
  bare(directive);
  return { name: 'any', handle: answerAny };
}
