/** `bufsize [SIZE]`: an upper bound for UDP responses to clients that speak EDNS. */
import { LIMITS } from '../../base/limits.ts';
import { intArg, maxArgs, noBody, onlyUse } from '../../config/corefile/args.ts';
import type { Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import { limitUdp } from './handler.ts';

export function setup(directive: Directive): Plugin {
  const line = onlyUse(directive);
  noBody(line);
  const size = maxArgs(line, 1)[0];
  const { default: preset, ...range } = LIMITS.ednsUdpSizeBytes;
  return { name: 'bufsize', handle: limitUdp(size === undefined ? preset : intArg(size, range)) };
}
