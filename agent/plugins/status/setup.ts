/** `status [ADDR]`: a page for people with the numbers of this agent. */
import { listenArg, maxArgs, noBody, onlyUse } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';

const DEFAULT_ADDRESS = 'localhost:9254';

/** Throws ConfigError for a second use in the block and for an invalid address. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  noBody(line);
  const [token] = maxArgs(line, 1);
  if (token !== undefined) listenArg(token);
  services.admin.addStatus(token?.text ?? DEFAULT_ADDRESS);
  return { name: 'status' };
}
