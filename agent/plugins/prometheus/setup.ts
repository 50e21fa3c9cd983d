/** `prometheus [ADDR] { older_names }`: counts a block's queries and exports every series of the process. */
import { listenArg, maxArgs, noArgs, onlyUse, readOptions } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';

const DEFAULT_ADDRESS = 'localhost:9153';

/** Throws ConfigError for a second use in the block and for an invalid address. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const [token] = maxArgs(line, 1);
  if (token !== undefined) listenArg(token);
  let isOlder = false;
  readOptions(line, {
    older_names: (option) => {
      noArgs(option);
      isOlder = true;
    },
  });
  services.process.measureTraffic();
  services.admin.addMetrics(token?.text ?? DEFAULT_ADDRESS, { isOlder });
  return { name: 'prometheus' };
}
