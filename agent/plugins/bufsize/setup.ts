/** `bufsize [SIZE]`: maximum size of UDP responses to clients with EDNS. */
import { LIMITS } from '../../base/limits.ts';
import { firstUse, intArg, maxArgs, noBody } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { limitUdp } from './handler.ts';

/** The default and the range are `LIMITS.ednsUdpSizeBytes`, bytes. Throws ConfigError for a size outside it. */
export function setup(directive: Directive, _block: Block, { log }: Services): Plugin {
  const line = firstUse(directive, log);
  noBody(line);
  const size = maxArgs(line, 1)[0];
  const { default: preset, ...range } = LIMITS.ednsUdpSizeBytes;
  return { name: 'bufsize', handle: limitUdp(size === undefined ? preset : intArg(size, range)) };
}
