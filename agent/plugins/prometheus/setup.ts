/** `prometheus [ADDR]`: measures a block's queries and shows every series of the process. */
import { listenArg, maxArgs, noBody, onlyUse } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services.ts';

const DEFAULT_ADDRESS = 'localhost:9153';

export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  noBody(line);
  const [token] = maxArgs(line, 1);
  if (token !== undefined) listenArg(token);
  services.process.measureTraffic();
  services.admin.add(token?.text ?? DEFAULT_ADDRESS, '/metrics', async () => ({
    status: 200,
    ...(await services.metricsText()),
  }));
  return { name: 'prometheus' };
}
