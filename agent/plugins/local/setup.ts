/** `local { localhost_prefix on|off }`: answers names of the machine itself, so that they are never forwarded. */
import { choiceArg, noArgs, oneArg, readOptions } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { localHandler } from './handler.ts';

/** `localhost_prefix` is on by default; the last value is effective. Throws ConfigError for arguments. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  let takesPrefix = true;
  for (const line of directive.uses) {
    noArgs(line);
    readOptions(line, {
      localhost_prefix: (option) => {
        takesPrefix = choiceArg(oneArg(option), ['on', 'off']) === 'on';
      },
    });
  }
  const count = services.metrics.counter('coredns_local_localhost_requests_total');
  return { name: 'local', handle: localHandler(takesPrefix, count) };
}
