/** Passes a query through its block's cache, unless its zone is not to be cached. */
import { isSubdomain } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { BlockCache } from '../../query/services/cache.ts';

/** `zones` in lower-case wire form; undefined if all names of the block are cached. */
export function handler(
  cache: BlockCache,
  zones: readonly Uint8Array[] | undefined,
): NonNullable<Plugin['handle']> {
  if (zones === undefined) return (query, next) => cache.handle(query, next);
  return (query, next) => {
    const { name } = query;
    const isCached = zones.some((zone) => isSubdomain(name, zone));
    return isCached ? cache.handle(query, next) : next(query);
  };
}
