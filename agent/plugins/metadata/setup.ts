/** `metadata [ZONES…]`: the block's plugins collect metadata of a query, for logs, traces and views. */
import { noBody, onlyUse, zonesOf } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import { isSubdomain, nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';

/** Only queries for names in the zones get a map. Throws ConfigError for a second use. */
export function setup(directive: Directive, block: Block): Plugin {
  const line = onlyUse(directive);
  noBody(line);
  const zones = zonesOf(line.args, block).map((zone) => nameFromText(zone));
  return {
    name: 'metadata',
    // The first plugin of its block, so that the others find the map.
    describe: (query) => {
      if (zones.some((zone) => isSubdomain(query.name, zone))) query.metadata = new Map();
    },
  };
}
